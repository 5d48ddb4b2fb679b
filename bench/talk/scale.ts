import { Helper } from '../support/helper.ts';
import { megabytes, memoryOf } from '../support/memory.ts';
import { getAll, newDataDir, removeDataDir, startBenchNode, type BenchNode } from '../support/node.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { Order, Work } from './load-process.ts';
import type { LoadResult } from './load.ts';
import type { ManyOrder } from './many-process.ts';
import type { Plan } from './plan.ts';
import { compareWithServer } from './throughput.ts';

/** How the throughput changes with the number of open sessions, of workers, and with the size of a message. */
const inFlight = 4;

/** A node of its own for a part of the bench. */
async function withNode<T>(env: Record<string, string>, work: (node: BenchNode) => Promise<T>): Promise<T> {
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir, env);
  try {
    return await work(node);
  } finally {
    await node.stop();
    removeDataDir(dataDir);
  }
}

/** A node with agents who have so many open sessions between them. */
interface Crowd {
  readonly node: BenchNode;
  readonly load: Helper<ManyOrder>;
}

async function withCrowd<T>(plan: Plan, count: number, work: (crowd: Crowd) => Promise<T>): Promise<T> {
  return withNode({}, async (node) => {
    const load = new Helper<ManyOrder>(new URL('many-process.ts', import.meta.url));
    try {
      const capacity = Math.ceil((2 * count) / plan.agents);
      await load.ask({ do: 'agents', port: node.port, count: plan.agents, capacity });
      await load.ask({ do: 'sessions', port: node.port, count });
      const result = await work({ node, load });
      const { lastSeqs } = await load.ask<{ lastSeqs: [string, number][] }>({ do: 'check' });
      for (const [session, seq] of lastSeqs) {
        const events = await getAll<{ seq: number }>(
          node.port,
          `/v1/sessions/${session}/events?after=${seq - 1}`,
        );
        if (events.length !== 1 || events[0]!.seq !== seq)
          throw new Error(`${session} ends at ${seq} for its agent, not for the node`);
      }
      return result;
    } finally {
      load.close();
    }
  });
}

/**
 * Agents talk in few sessions on one node and in many on another, in turns: this machine is faster and slower from minute to
 * minute, by more than the sessions cost.
 */
export async function bySessions(plan: Plan): Promise<readonly Row[]> {
  const { sessions: counts, agents, rounds, warmMs, runMs } = plan;
  const [few, ...more] = counts;
  const talk = async ({ load }: Crowd, sessions: number): Promise<number> => {
    const order = { do: 'talk', inFlight, sessions, warmMs, runMs } as const;
    return (await load.ask<LoadResult>(order)).perSecond;
  };
  return withCrowd(plan, few!, async (base) => {
    const bases: number[] = [];
    const rows: Row[] = [];
    for (const count of more)
      await withCrowd(plan, count, async (crowd) => {
        const here: number[][] = [[], []];
        const ratios: number[][] = [[], []];
        for (let round = 0; round < rounds; round += 1)
          for (const [way, sessions] of [count, few!].entries()) {
            bases.push(await talk(base, few!));
            here[way]!.push(await talk(crowd, sessions));
            ratios[way]!.push((100 * here[way]!.at(-1)!) / bases.at(-1)!);
          }
        const memory = megabytes(memoryOf([crowd.node.pid]).rssBytes);
        const shown = (way: number): string => `${spread(here[way]!)}: ${spread(ratios[way]!)} %`;
        const many = count.toLocaleString('en');
        const wanted = count === counts.at(-1) ? '80 %' : none;
        rows.push(
          [`… in ${many} open sessions`, `${shown(0)}; node ${memory}`, none, wanted],
          [`… in ${few!.toLocaleString('en')} of these`, shown(1), none, none],
        );
      });
    const memory = megabytes(memoryOf([base.node.pid]).rssBytes);
    const name = `messages/s of ${agents} agents in ${few!.toLocaleString('en')} open sessions`;
    return [[name, `${spread(bases)}; node ${memory}`, none, none], ...rows];
  });
}

async function pairsOn(
  plan: Plan,
  env: Record<string, string>,
  bytes: number | undefined,
): Promise<readonly LoadResult[]> {
  return withNode(env, async (node) => {
    const load = new Helper<Order>(new URL('load-process.ts', import.meta.url));
    try {
      const { pairs, rounds, warmMs, runMs } = plan;
      await load.ask({
        do: 'open',
        target: 'kefu',
        ports: [node.port],
        pairs,
        ...(bytes === undefined ? {} : { bytes }),
      });
      const results: LoadResult[] = [];
      for (let round = 0; round < rounds; round += 1)
        results.push(await load.ask<LoadResult>({ do: 'closed', target: 'kefu', inFlight, warmMs, runMs }));
      await compareWithServer(node, await load.ask<Work>({ do: 'check', target: 'kefu' }));
      return results;
    } finally {
      load.close();
    }
  });
}

export async function byWorkers(plan: Plan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const workers of plan.workers) {
    const results = await pairsOn(plan, { KEFU_WORKERS: String(workers) }, undefined);
    const rates = spread(results.map((it) => it.perSecond));
    rows.push([`messages/s, ${inFlight} in flight a socket, ${workers} workers`, rates, none, none]);
  }
  return rows;
}

export async function bySize(plan: Plan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const bytes of plan.sizes) {
    const results = await pairsOn(plan, {}, bytes);
    const rates = results.map((it) => it.perSecond);
    const megabytesPerSecond = ((median(rates) * bytes) / 1e6).toFixed(1);
    const figure = `messages/s of ${bytes.toLocaleString('en')} bytes, ${inFlight} in flight a socket`;
    rows.push([figure, `${spread(rates)}: ${megabytesPerSecond} MB/s`, none, none]);
  }
  return rows;
}
