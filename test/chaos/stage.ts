import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { until } from '../../scripts/processes.ts';
import { http } from '../support/client.ts';
import { TestCluster } from '../support/cluster.ts';
import { postmasterPid, type TestNode } from '../support/node.ts';
import type { ClusterStatus } from '../../src/protocol/cluster-status.ts';
import { Gate, type GateMode } from './gate.ts';

export interface StageOptions {
  readonly suspectMs: number;
  readonly ttlMs: number;
  readonly natsServers?: 1 | 3;
  /** Each node reaches NATS and PostgreSQL through proxies of its own. */
  readonly gates?: boolean;
}

/** Nodes there may be at most. */
const nodesMax = 4;
export const capacity = 4;
export const graceMs = 2000;
export const commitWaitMs = 1000;
const backMs = 45_000;
/** What no fault excuses: a node would not tell it if all was as it should be. */
const troubles =
  /an actor crashed|worker \d+ failed|is crashing|a request failed|PostgreSQL refused|"level":60/;

interface NodeGates {
  readonly nats: readonly Gate[];
  readonly postgres: Gate;
}

interface Process {
  readonly name: string;
  readonly node: TestNode;
  read: number;
  /** It is to end, or has been ended. */
  doomed: boolean;
}

/** The cluster under test, with all that can be done to it. */
export class Stage {
  readonly cluster: TestCluster;
  readonly suspectMs: number;
  readonly ttlMs: number;
  readonly natsServers: 1 | 3;
  readonly #gates: readonly NodeGates[];
  /** Those that run, as far as this test has to do with it; a paused one does not. */
  readonly #up = new Set<number>();
  #admin = '';
  /** All that were ever started, and how much of what they said has been looked at. */
  readonly #processes: Process[] = [];
  readonly #ends: string[] = [];

  private constructor(cluster: TestCluster, options: StageOptions, gates: readonly NodeGates[]) {
    this.cluster = cluster;
    this.suspectMs = options.suspectMs;
    this.ttlMs = options.ttlMs;
    this.natsServers = options.natsServers ?? 3;
    this.#gates = gates;
    for (const index of cluster.nodes.keys()) this.#began(index);
  }

  static async start(options: StageOptions): Promise<Stage> {
    const natsServers = options.natsServers ?? 3;
    const gates: NodeGates[] = [];
    for (let index = 0; options.gates === true && index < nodesMax; index += 1) {
      const nats = await Promise.all(Array.from({ length: natsServers }, () => Gate.start()));
      gates.push({ nats, postgres: await Gate.start() });
    }
    const cluster = await TestCluster.start({
      nodes: 3,
      workers: 1,
      natsServers,
      env: environment(options),
      ...(gates.length === 0 ? {} : through(gates)),
    });
    const stage = new Stage(cluster, options, gates);
    const { body } = await http(cluster.nodes[0]!, 'POST', '/v1/login', {
      body: { email: 'admin@demo.kefu', password: 'demo' },
    });
    stage.#admin = body.token as string;
    return stage;
  }

  get nodes(): readonly TestNode[] {
    return this.cluster.nodes;
  }

  get up(): number[] {
    return [...this.#up].sort((a, b) => a - b);
  }

  get upNodes(): TestNode[] {
    return this.up.map((index) => this.nodes[index]!);
  }

  get admin(): string {
    return this.#admin;
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) process.doomed = true;
    await this.cluster.stop();
    for (const { nats, postgres } of this.#gates)
      await Promise.all([...nats, postgres].map((gate) => gate.stop()));
  }

  // ---- nodes

  #began(index: number): void {
    const node = this.nodes[index]!;
    const process: Process = { name: `n${index + 1}`, node, read: 0, doomed: false };
    this.#processes.push(process);
    this.#up.add(index);
    void node.exited.then((code) => {
      if (!process.doomed) this.#ends.push(`${process.name} ended by itself with ${code}`);
    });
  }

  #doom(index: number): void {
    this.#up.delete(index);
    for (const process of this.#processes) if (process.node === this.nodes[index]) process.doomed = true;
  }

  async kill(index: number): Promise<void> {
    this.#doom(index);
    await this.nodes[index]!.kill();
  }

  /** Starts it, anew or for the first time; settles when every shard has its place. */
  async run(index: number): Promise<void> {
    await this.cluster.add(index);
    this.#began(index);
    await this.settled();
  }

  /** SIGTERM; its exit code. */
  async end(index: number): Promise<number | null> {
    this.#doom(index);
    return this.nodes[index]!.stop();
  }

  async pause(index: number): Promise<void> {
    this.#up.delete(index);
    const { pid } = this.nodes[index]!;
    process.kill(pid, 'SIGSTOP');
    await until('the node stands still', () => stateOf(pid) === 'T');
  }

  resume(index: number): void {
    this.#up.add(index);
    this.nodes[index]!.signal('SIGCONT');
  }

  // ---- networks

  cutNats(index: number, mode: GateMode): void {
    for (const gate of this.#gates[index]!.nats) gate.set(mode);
  }

  cutPostgres(index: number, mode: GateMode): void {
    this.#gates[index]!.postgres.set(mode);
  }

  // ---- PostgreSQL

  /** It is started again by who started it. */
  async endPostgres(signal: 'SIGKILL' | 'SIGINT'): Promise<void> {
    const { postmaster } = this.cluster;
    process.kill(postmaster, signal);
    const isNew = (): boolean => ![undefined, postmaster].includes(postmasterPid(this.cluster.postgresDir));
    await until('a new PostgreSQL', isNew, 30_000);
  }

  /** Stops it where it stands; returns what lets it go on. */
  pausePostgres(): () => void {
    const { postmaster } = this.cluster;
    // The postmaster first, so that it starts none anew while the others are signalled.
    process.kill(postmaster, 'SIGSTOP');
    const pids = [postmaster, ...childrenOf(postmaster)];
    signal(pids, 'SIGSTOP');
    return () => signal(pids, 'SIGCONT');
  }

  // ---- what the nodes say

  async status(node: TestNode): Promise<ClusterStatus | undefined> {
    try {
      const { status, body } = await http(node, 'GET', '/v1/cluster', { token: this.#admin });
      return status === 200 ? (body as ClusterStatus) : undefined;
    } catch {
      return undefined;
    }
  }

  /** What they said since the last time that none of them ever should, and who ended without being told to. */
  troubles(): string[] {
    const found = this.#ends.splice(0);
    for (const process of this.#processes) {
      const log = process.node.logs();
      const end = log.lastIndexOf('\n') + 1;
      for (const line of log.slice(process.read, end).split('\n'))
        if (troubles.test(line)) found.push(`${process.name} said ${line.slice(0, 2000)}`);
      process.read = Math.max(process.read, end);
    }
    return found;
  }

  /** For whoever looks for the cause. */
  keepLogs(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const [at, { name, node }] of this.#processes.entries())
      writeFileSync(`${folder}/${at}-${name}.log`, node.logs());
  }

  /** Every shard is open at one of those that run, they all agree, and each has about its share. */
  async settled(deadlineMs = backMs): Promise<void> {
    let why: string | undefined;
    const isSettled = async (): Promise<boolean> => (why = await this.#unsettled()) === undefined;
    await until('every shard has its place', isSettled, deadlineMs).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${why}`);
    });
  }

  /** What is not in its place; undefined: all is. */
  async #unsettled(): Promise<string | undefined> {
    const owners = new Map<number, string>();
    const alive = new Set<string>();
    for (const [at, node] of this.upNodes.entries()) {
      const status = await this.status(node);
      const name = `n${this.up[at]! + 1}`;
      if (status === undefined) return `${name} says nothing`;
      if (!status.lease.holds) return `${name} holds no lease`;
      alive.add(status.self);
      for (const { shard, process, phase, epoch } of status.shards) {
        if (phase !== 'open' && phase !== 'elsewhere') return `shard ${shard} is ${phase} at ${name}`;
        const owner = `${process} ${epoch}`;
        const other = owners.get(shard) ?? owner;
        if (other !== owner) return `shard ${shard} is of ${other} or of ${owner}`;
        owners.set(shard, owner);
      }
    }
    const counts = new Map([...alive].map((process) => [process, 0]));
    for (const [shard, owner] of owners) {
      const [process = ''] = owner.split(' ');
      const count = counts.get(process);
      if (count === undefined) return `shard ${shard} is of ${owner}, which is gone`;
      counts.set(process, count + 1);
    }
    for (const [process, count] of counts)
      if (count < owners.size / alive.size / 2) return `${process} has only ${count} shards`;
    return undefined;
  }
}

function environment({ suspectMs, ttlMs }: StageOptions): Record<string, string> {
  return {
    KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
    KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
    KEFU_LIMITS_CONNECTIONS_PER_IP: '0',
    KEFU_LIMITS_LOGINS_PER_MINUTE_PER_IP: '0',
    KEFU_LIMITS_HISTORY_PAGE: '2000',
    KEFU_AGENTS_CAPACITY: String(capacity),
    KEFU_AGENTS_GRACE: `${graceMs}ms`,
    // Before people lose their patience, so that they are told.
    KEFU_CLUSTER_HELD_WAIT: '1200ms',
    KEFU_JOURNAL_COMMIT_WAIT: `${commitWaitMs}ms`,
    KEFU_STORE_READ_WAIT: '1s',
    KEFU_LEASE_SUSPECT_AFTER: `${suspectMs}ms`,
    KEFU_LEASE_TTL: `${ttlMs}ms`,
  };
}

function through(
  gates: readonly NodeGates[],
): Pick<Required<NonNullable<Parameters<typeof TestCluster.start>[0]>>, 'natsUrl' | 'postgresUrl'> {
  return {
    natsUrl: (index, servers) =>
      gates[index]!.nats.map((gate, at) => {
        gate.target = { port: Number(new URL(servers.urls[at]!).port) };
        return `nats://127.0.0.1:${gate.port}`;
      }),
    postgresUrl: (index, dir) => {
      const { postgres } = gates[index]!;
      postgres.target = { path: `${dir}/postgres/.s.PGSQL.5432` };
      return `postgres://kefu@127.0.0.1:${postgres.port}/kefu`;
    },
  };
}

function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]![0]!;
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, name);
    } catch {
      // It has ended meanwhile.
    }
}
