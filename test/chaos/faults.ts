import { until } from '../../scripts/processes.ts';
import { bucketOf } from '../../src/cluster/nats-subjects.ts';
import type { GateMode } from './gate.ts';
import { commitWaitMs, type Stage } from './stage.ts';
import type { World } from './world.ts';

/**
 * What can happen to a cluster. Each does its damage, waits for what must become of it, mends what must be mended, and
 * returns when every session is answered again and every shard has its place. All times are milliseconds.
 */
export interface Recovery {
  /**
   * From the damage until they were answered again, where the rest must carry on without what is broken: of each
   * customer whom it touched, in ascending order.
   */
  readonly duringMs?: readonly number[];
  /** The same from the mending. */
  readonly afterMs?: readonly number[];
  /** The longest that a customer was without an answer. */
  readonly silenceMs: number;
}

/** Generous: the machine is shared, and a test that fails for that teaches nobody anything. */
const waveMs = 40_000;
const leaseStream = `KV_${bucketOf('kefu')}`;

export class Faults {
  readonly stage: Stage;
  readonly world: World;

  constructor(stage: Stage, world: World) {
    this.stage = stage;
    this.world = world;
  }

  /** Longer than the lease of a node that can't renew it. */
  get #leaseMs(): number {
    return this.stage.ttlMs + 1000;
  }

  // ---- nodes

  async killNode(index: number): Promise<Recovery> {
    const { stage, world } = this;
    const touched = await world.touchedBy(index);
    world.silence();
    await stage.kill(index);
    const duringMs = await world.wave(waveMs, { touched });
    const silenceMs = world.silence();
    await stage.run(index);
    return { duringMs, silenceMs: Math.max(silenceMs, world.silence()) };
  }

  /** Stands still for longer than its lease; when it goes on it must find out before it does anything. */
  async pauseNode(index: number): Promise<Recovery> {
    const { stage, world } = this;
    const touched = await world.touchedBy(index);
    world.silence();
    const startMs = performance.now();
    await stage.pause(index);
    const duringMs = await world.wave(waveMs, { touched });
    await elapsed(startMs, this.#leaseMs);
    stage.resume(index);
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { duringMs, afterMs, silenceMs: world.silence() };
  }

  /** Stops and starts each in turn, as for a new version. */
  async rollingRestart(): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    for (const index of stage.up) {
      await this.#end(index);
      await stage.run(index);
    }
    const afterMs = await world.wave(waveMs);
    return { afterMs, silenceMs: world.silence() };
  }

  async addNode(index: number): Promise<Recovery> {
    this.world.silence();
    await this.stage.run(index);
    const afterMs = await this.world.wave(waveMs);
    return { afterMs, silenceMs: this.world.silence() };
  }

  async removeNode(index: number): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    await this.#end(index);
    const duringMs = await world.wave(waveMs);
    await stage.settled();
    return { duringMs, silenceMs: world.silence() };
  }

  async #end(index: number): Promise<void> {
    const code = await this.stage.end(index);
    if (code !== 0) this.world.ledger.accuse(`n${index + 1} was told to stop and ended with ${code}`);
  }

  /** As when the machine loses its power: none is left that remembers anything. */
  async killAllNodes(): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    const all = stage.up;
    await Promise.all(all.map((index) => stage.kill(index)));
    const afterMs = world.wave(2 * waveMs);
    await Promise.all([afterMs, ...all.map((index) => stage.run(index))]);
    return { afterMs: await afterMs, silenceMs: world.silence() };
  }

  // ---- NATS

  /** Until there is a leader among the others, and the cluster does well without it. */
  async killNats(index: number): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    await stage.cluster.nats.kill(index);
    const duringMs = await world.wave(waveMs);
    await stage.cluster.nats.leaderOf(leaseStream);
    await stage.settled();
    await stage.cluster.nats.restart(index);
    await stage.settled();
    const afterMs = await world.wave(waveMs);
    return { duringMs, afterMs, silenceMs: world.silence() };
  }

  /** The server that leads the leases' log. */
  async killNatsLeader(): Promise<Recovery> {
    return this.killNats(await this.stage.cluster.nats.leaderOf(leaseStream));
  }

  /** Both at once: the claims of the node's shards must wait for an election. */
  async killNodeAndNatsLeader(index: number): Promise<Recovery> {
    const { stage, world } = this;
    const { nats } = stage.cluster;
    const leader = await nats.leaderOf(leaseStream);
    const touched = await world.touchedBy(index);
    world.silence();
    await Promise.all([nats.kill(leader), stage.kill(index)]);
    const duringMs = await world.wave(waveMs, { touched });
    await nats.restart(leader);
    await stage.run(index);
    return { duringMs, silenceMs: world.silence() };
  }

  /** Each in turn, as for a new version. */
  async rollNats(): Promise<Recovery> {
    const { stage, world } = this;
    const { nats } = stage.cluster;
    world.silence();
    for (let index = 0; index < stage.natsServers; index += 1) {
      await nats.restart(index);
      await nats.leaderOf(leaseStream);
    }
    await stage.settled();
    const afterMs = await world.wave(waveMs);
    return { afterMs, silenceMs: world.silence() };
  }

  /** For longer than the leases: then nobody may act, and everybody is told so. */
  async pauseNats(): Promise<Recovery> {
    const { stage, world } = this;
    const { nats } = stage.cluster;
    const servers = [...Array(stage.natsServers).keys()];
    world.silence();
    await Promise.all(servers.map((index) => nats.pause(index)));
    await this.#leasesEnd();
    const before = world.ledger.refusals;
    await until('people are told that it is unavailable', () => world.ledger.refusals > before, 10_000);
    for (const index of servers) nats.resume(index);
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { afterMs, silenceMs: world.silence() };
  }

  async wipeNats(): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    await stage.cluster.nats.wipe();
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { afterMs, silenceMs: world.silence() };
  }

  /** One node is cut off, for longer than its lease: the others take over. */
  async cutNats(index: number, mode: GateMode): Promise<Recovery> {
    const { stage, world } = this;
    const touched = await world.touchedBy(index);
    world.silence();
    const sinceMs = performance.now();
    stage.cutNats(index, mode);
    const ended = until(
      'its lease ends',
      async () => {
        const status = await stage.status(stage.nodes[index]!);
        return status?.lease.holds === false;
      },
      2 * this.#leaseMs + 10_000,
    );
    // Before it is known to be gone everything goes on, and a wave says nothing.
    await until(
      'the others give it up',
      async () => {
        const others = stage.up
          .filter((other) => other !== index)
          .map((other) => stage.status(stage.nodes[other]!));
        const name = `n${index + 1}`;
        return (await Promise.all(others)).every((status) =>
          status?.members.every(({ node }) => node !== name),
        );
      },
      20_000,
    );
    const duringMs = await world.wave(waveMs, { touched, sinceMs });
    await ended;
    stage.cutNats(index, 'open');
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { duringMs, afterMs, silenceMs: world.silence() };
  }

  #leasesEnd(): Promise<boolean> {
    const { stage } = this;
    return until(
      'the leases end',
      async () => {
        const said = await Promise.all(stage.upNodes.map((node) => stage.status(node)));
        return said.every((status) => status?.lease.holds === false);
      },
      2 * this.#leaseMs + 10_000,
    );
  }

  // ---- PostgreSQL

  /** SIGKILL: a crash. SIGINT: it is restarted, and every connection ended. */
  async endPostgres(signal: 'SIGKILL' | 'SIGINT'): Promise<Recovery> {
    this.world.silence();
    await this.stage.endPostgres(signal);
    const afterMs = await this.world.wave(waveMs);
    await this.stage.settled();
    return { afterMs, silenceMs: this.world.silence() };
  }

  /** The others can't take its shards before PostgreSQL goes on. */
  async killNodeWithoutPostgres(index: number): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    const goOn = stage.pausePostgres();
    await stage.kill(index);
    await until(
      'the others give it up',
      async () => (await stage.status(stage.upNodes[0]!))?.members.length === stage.up.length,
      30_000,
    ).finally(goOn);
    const afterMs = await world.wave(waveMs);
    await stage.run(index);
    return { afterMs, silenceMs: world.silence() };
  }

  /** Until everybody has been told. */
  async pausePostgres(): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    const goOn = stage.pausePostgres();
    const before = world.ledger.refusals;
    const enough = 2 * world.customers.length;
    await until('people are told', () => world.ledger.refusals >= before + enough, 20_000).finally(goOn);
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { afterMs, silenceMs: world.silence() };
  }

  /** One node is cut off, for longer than a commit may hang: it can't commit, and says so. */
  async cutPostgres(index: number, mode: GateMode): Promise<Recovery> {
    const { stage, world } = this;
    world.silence();
    const startMs = performance.now();
    stage.cutPostgres(index, mode);
    await until('it says that it is not ready', () => isUnready(stage.nodes[index]!.url), 30_000);
    await elapsed(startMs, 3 * commitWaitMs);
    stage.cutPostgres(index, 'open');
    const afterMs = await world.wave(waveMs);
    await stage.settled();
    return { afterMs, silenceMs: world.silence() };
  }
}

async function isUnready(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(3000) });
    await answer.arrayBuffer();
    return answer.status === 503;
  } catch {
    return false;
  }
}

/** For what only time does. */
function elapsed(startMs: number, ms: number): Promise<boolean> {
  return until(`${ms} ms are over`, () => performance.now() - startMs > ms, ms + 10_000);
}

export function recoveryText({ duringMs, afterMs, silenceMs }: Recovery): string {
  const parts = [
    ...(duringMs === undefined ? [] : [`answered ${spreadText(duringMs)} ms after the damage`]),
    ...(afterMs === undefined ? [] : [`${spreadText(afterMs)} ms after the mending`]),
    `the longest silence ${silenceMs} ms`,
  ];
  return parts.join(', ');
}

/** p50 / p99 / max. */
export function spreadText(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)]!;
  return `${at(0.5)} / ${at(0.99)} / ${sorted.at(-1)}`;
}
