import { Helper } from '../support/helper.ts';
import { newDataDir, removeDataDir, startBenchNode } from '../support/node.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { Order, Work } from '../talk/load-process.ts';
import type { LoadResult } from '../talk/load.ts';
import { compareWithServer } from '../talk/throughput.ts';
import type { Measured, Plan, Size } from './plan.ts';
import { portsOf, startWorld } from './world.ts';

/** One cluster, or a node alone, and the load process that talks through it. */
interface Target {
  readonly size: Size;
  readonly ports: readonly number[];
  readonly load: Helper<Order>;
  readonly results: LoadResult[];
  stop(): Promise<void>;
}

/**
 * The closed loop of bench/talk through clusters of several sizes, in turn: all of them run all the time, and one has
 * work. A node alone is one without NATS, as its users run it; all have a PostgreSQL of the same settings.
 */
export async function throughput(plan: Plan): Promise<Measured> {
  const targets: Target[] = [];
  try {
    for (const size of plan.sizes) targets.push(await start(size));
    for (const { load, ports } of targets)
      await load.ask({ do: 'open', target: 'kefu', ports, pairs: plan.pairs });
    const { inFlight, warmMs, runMs } = plan;
    for (let round = 0; round < plan.rounds; round += 1)
      for (const { load, results } of targets)
        results.push(await load.ask({ do: 'closed', target: 'kefu', inFlight, warmMs, runMs }));
    let messages = 0;
    for (const { load, ports } of targets) {
      const work = await load.ask<Work>({ do: 'check', target: 'kefu' });
      await compareWithServer({ port: ports[0]! }, work);
      messages += work.delivered;
    }
    return {
      rows: rowsOf(plan, targets),
      results: Object.fromEntries(targets.map(({ size, results }) => [nameOf(size), results])),
      work: `${messages.toLocaleString('en')} messages said, acked and delivered, each in order, and compared with the nodes`,
    };
  } finally {
    for (const { load, stop } of targets) {
      load.close();
      await stop();
    }
  }
}

function nameOf(size: Size): string {
  const { nodes, workers } = size;
  const feed = size.nodes === 1 ? '' : `, ${size.feed ? 'with' : 'without'} the change feed`;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  return `${count(nodes, 'node')}, ${count(workers, 'worker')}${nodes === 1 ? '' : ' each'}${feed}`;
}

async function start(size: Size): Promise<Target> {
  const load = new Helper<Order>(new URL('../talk/load-process.ts', import.meta.url));
  if (size.nodes === 1) {
    const dataDir = newDataDir();
    // As much as the shared one of a TestCluster.
    const env = { KEFU_WORKERS: String(size.workers), KEFU_POSTGRES_SHARED_BUFFERS: String(64 * 2 ** 20) };
    const node = await startBenchNode(dataDir, env);
    const stop = async (): Promise<void> => {
      await node.stop();
      removeDataDir(dataDir);
    };
    return { size, ports: [node.port], load, results: [], stop };
  }
  const { cluster } = await startWorld(1, { KEFU_NATS_FEED: String(size.feed) });
  return { size, ports: portsOf(cluster), load, results: [], stop: () => cluster.stop() };
}

function rowsOf(plan: Plan, targets: readonly Target[]): Row[] {
  const [single] = targets.filter(({ size }) => size.nodes === 1 && size.workers === 1);
  return targets.flatMap(({ size, results }) => {
    const figure = `messages/s, ${nameOf(size)}; ${plan.pairs} pairs, ${plan.inFlight} in flight a socket`;
    const rows: Row[] = [[figure, spread(results.map((it) => it.perSecond)), none, none]];
    const p50 = spread(
      results.map((it) => it.p50Ms),
      1,
    );
    const p99 = spread(
      results.map((it) => it.p99Ms),
      1,
    );
    rows.push([`… ack p50; p99, ms`, `${p50}; ${p99}`, none, none]);
    if (single === undefined || size.nodes === 1) return rows;
    // Of each round by itself: what the machine did meanwhile is in both.
    const share = median(results.map((it, round) => it.perSecond / single.results[round]!.perSecond));
    rows.push([`… of the one node with one worker`, `${Math.round(share * 100)} %`, none, '70 %']);
    return rows;
  });
}
