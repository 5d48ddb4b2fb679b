import { jetstreamManager } from '@nats-io/jetstream';
import { realClock } from '../../src/core/real-clock.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../scripts/processes.ts';
import { Helper } from '../support/helper.ts';
import { none, percentile, spread, type Row } from '../support/report.ts';
import type { Measured, Plan } from './plan.ts';
import type { Story, TalkOrder, TalkWork } from './talk-process.ts';
import { hasSession, leaseStream, portsOf, statusOf, untilBalanced } from './world.ts';

/**
 * Nodes are stopped and killed while customers talk. Each round takes another node; a customer's silence is the
 * largest gap between two acks minus its usual one, which is the pace of its talk.
 */
export interface Talkers {
  readonly helper: Helper<TalkOrder>;
  close(): Promise<TalkWork>;
}

export async function startTalkers(cluster: TestCluster, pairs: number): Promise<Talkers> {
  const helper = new Helper<TalkOrder>(new URL('talk-process.ts', import.meta.url));
  await helper.ask({ do: 'open', ports: portsOf(cluster), pairs });
  return {
    helper,
    close: () => helper.ask<TalkWork>({ do: 'rest' }).finally(() => helper.close()),
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const answerWaitMs = 40_000;

/** What the customers went through, told apart by what moved. */
interface Told {
  /** The session's shard, and not the customer's connection. */
  readonly moved: Story[];
  /** Both. */
  readonly both: Story[];
  /** The connection alone. */
  readonly cutOff: Story[];
  readonly stayed: Story[];
}

interface Round {
  readonly told: Told;
  readonly ms: number;
}

/** Watches while something happens to a node; `happen` settles when it is over. */
async function watch(
  cluster: TestCluster,
  { helper }: Talkers,
  plan: Plan,
  index: number,
  happen: () => Promise<void>,
): Promise<Round> {
  await helper.ask({ do: 'watch' });
  await pause(plan.talkMs);
  const survivor = cluster.nodes[(index + 1) % cluster.nodes.length]!;
  const before = await statusOf(survivor.port);
  const sinceMs = realClock.nowMs();
  await happen();
  const ms = realClock.nowMs() - sinceMs;
  await pause(plan.talkMs);
  const stories = await until(
    'every session answers',
    async () => {
      const all = await helper.ask<Story[]>({ do: 'report', sinceMs });
      return all.every(({ answeredMs }) => answeredMs !== undefined) && all;
    },
    answerWaitMs,
  );
  // A node that has come has what should be its own by now, and had nothing before.
  const after = await statusOf(survivor.port);
  const isMoved = ({ session }: Story): boolean =>
    hasSession(before, index, session) || hasSession(after, index, session);
  const isCut = ({ port }: Story): boolean => port === cluster.nodes[index]!.port;
  return {
    ms,
    told: {
      moved: stories.filter((it) => isMoved(it) && !isCut(it)),
      both: stories.filter((it) => isMoved(it) && isCut(it)),
      cutOff: stories.filter((it) => !isMoved(it) && isCut(it)),
      stayed: stories.filter((it) => !isMoved(it) && !isCut(it)),
    },
  };
}

const silence = ({ silenceMs, usualMs }: Story): number => Math.max(0, silenceMs - usualMs);
const slowest = ({ slowestMs }: Story): number => slowestMs;
const answered = ({ answeredMs }: Story): number => answeredMs!;

/** A node is stopped with SIGTERM, and started again. */
export async function drain(cluster: TestCluster, talkers: Talkers, plan: Plan): Promise<Measured> {
  const drains: Round[] = [];
  const joins: Round[] = [];
  const { helper } = talkers;
  for (let round = 0; round < plan.rounds; round += 1) {
    const index = round % cluster.nodes.length;
    await helper.ask({ do: 'ports', ports: portsOf(cluster) });
    await helper.ask({ do: 'talk', everyMs: plan.drainEveryMs });
    drains.push(
      await watch(cluster, talkers, plan, index, async () => {
        await helper.ask({ do: 'ports', ports: portsOf(cluster, index) });
        const code = await cluster.nodes[index]!.stop();
        if (code !== 0) throw new Error(`the stopped node ended with ${code}`);
      }),
    );
    joins.push(
      await watch(cluster, talkers, plan, index, async () => {
        await cluster.add(index);
        await untilBalanced(cluster);
      }),
    );
    await helper.ask({ do: 'rest' });
  }
  const rows: Row[] = [
    percentileRow('a drained shard’s silence', drains, ['moved'], silence, '200'),
    percentileRow('… the slowest ack of each', drains, ['moved'], slowest),
    percentileRow('… where the customer’s connection was on the node', drains, ['both', 'cutOff'], silence),
    percentileRow('… of sessions that did not move, meanwhile', drains, ['stayed'], silence),
    ['… SIGTERM to exit 0, ms', spread(drains.map(({ ms }) => ms)), none, '10,000'],
    percentileRow('a node joins: silence of the shards that go to it', joins, ['moved'], silence),
    percentileRow('… of sessions that did not move, meanwhile', joins, ['stayed'], silence),
  ];
  return { rows, results: { drains, joins }, work: `${plan.rounds} nodes stopped under talk` };
}

/** A node is killed and started again, but for the last one, and in `nats` the leader of the leases' stream with it. */
export async function kill(
  cluster: TestCluster,
  talkers: Talkers,
  plan: Plan,
  withNats: boolean,
): Promise<Measured> {
  const kills: Round[] = [];
  const { helper } = talkers;
  for (let round = 0; round < plan.rounds; round += 1) {
    const index = round % cluster.nodes.length;
    await helper.ask({ do: 'ports', ports: portsOf(cluster) });
    await helper.ask({ do: 'talk', everyMs: plan.calmEveryMs });
    const leader = withNats ? await cluster.nats.leaderOf(leaseStream) : 0;
    kills.push(
      await watch(cluster, talkers, plan, index, async () => {
        // Known to clients at once: their connections end with it.
        void helper.ask({ do: 'ports', ports: portsOf(cluster, index) });
        const ends = [cluster.nodes[index]!.kill(), ...(withNats ? [cluster.nats.kill(leader)] : [])];
        await Promise.all(ends);
      }),
    );
    await helper.ask({ do: 'rest' });
    if (round === plan.rounds - 1) break;
    if (withNats) {
      await cluster.nats.restart(leader);
      await untilCurrent(cluster);
    }
    await cluster.add(index);
    await untilBalanced(cluster);
  }
  const what = withNats
    ? 'the same when the leases’ JetStream leader of 3 dies with it'
    : 'a killed node’s sessions answer again';
  const rows: Row[] = [
    percentileRow(what, kills, ['moved', 'both'], answered, withNats ? '12,000' : '3,000'),
    percentileRow('… where only the customer’s connection was on it', kills, ['cutOff'], answered),
    percentileRow('… of sessions that had nothing on it, meanwhile', kills, ['stayed'], answered),
  ];
  return {
    rows,
    results: { kills },
    work: `${plan.rounds} nodes killed${withNats ? ' with NATS servers' : ''}`,
  };
}

/** Until every server has all of the leases again: the next one may be killed. */
async function untilCurrent({ nats }: TestCluster): Promise<void> {
  const link = await nats.connect();
  try {
    const manager = await jetstreamManager(link.client, { timeout: 2000, checkAPI: false });
    await until(
      'the leases have all their copies',
      async () => {
        const info = await manager.streams.info(leaseStream).catch(() => undefined);
        const replicas = info?.cluster?.replicas ?? [];
        return replicas.length === 2 && replicas.every(({ current, offline }) => current && !offline);
      },
      60_000,
    );
  } finally {
    await link.close();
  }
}

/** p50 and p99 over the sessions of all rounds; how many they are; and each round's p99. */
function percentileRow(
  what: string,
  rounds: readonly Round[],
  groups: readonly (keyof Told)[],
  of: (story: Story) => number,
  wanted?: string,
): Row {
  const values = rounds.map(({ told }) => groups.flatMap((group) => told[group]).map(of));
  const all = values.flat();
  if (all.length === 0) return [`${what}, ms`, 'no session', none, wanted ?? none];
  const show = (share: number): string => Math.round(percentile(all, share)).toLocaleString('en');
  const p99s = values.filter((list) => list.length > 0).map((list) => percentile(list, 0.99));
  return [
    `${what}, ms: p50 / p99 of ${all.length} sessions (p99 of each round)`,
    `${show(0.5)} / ${show(0.99)} (${p99s.map((ms) => Math.round(ms).toLocaleString('en')).join(', ')})`,
    none,
    wanted === undefined ? none : `p99 ${wanted}`,
  ];
}
