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

/** Agents talk in ever more sessions; then, with all of them open, in the first few again, which tells a drift of the machine from a cost. */
export async function bySessions(plan: Plan): Promise<readonly Row[]> {
  return withNode({}, async (node) => {
    const load = new Helper<ManyOrder>(new URL('many-process.ts', import.meta.url));
    try {
      const { sessions: counts, agents, rounds, warmMs, runMs } = plan;
      const most = counts.at(-1)!;
      await load.ask({
        do: 'agents',
        port: node.port,
        count: agents,
        capacity: Math.ceil((2 * most) / agents),
      });
      const rows: Row[] = [];
      let first = 0;
      const talk = async (name: string, sessions: number, wanted: string): Promise<void> => {
        const results: LoadResult[] = [];
        for (let round = 0; round < rounds; round += 1)
          results.push(await load.ask<LoadResult>({ do: 'talk', inFlight, sessions, warmMs, runMs }));
        const rates = results.map((it) => it.perSecond);
        if (first === 0) first = median(rates);
        const share = `${Math.round((median(rates) / first) * 100)} %`;
        const memory = megabytes(memoryOf([node.pid]).rssBytes);
        rows.push([name, `${spread(rates)}: ${share}; node ${memory}`, none, wanted]);
      };
      for (const count of counts) {
        await load.ask({ do: 'sessions', port: node.port, count });
        await talk(
          `messages/s of ${agents} agents in ${count.toLocaleString('en')} open sessions`,
          count,
          count === most ? '80 %' : none,
        );
      }
      await talk(`… in ${counts[0]!.toLocaleString('en')} of these`, counts[0]!, none);
      const { lastSeqs } = await load.ask<{ lastSeqs: [string, number][] }>({ do: 'check' });
      for (const [session, seq] of lastSeqs) {
        const events = await getAll<{ seq: number }>(
          node.port,
          `/v1/sessions/${session}/events?after=${seq - 1}`,
        );
        if (events.length !== 1 || events[0]!.seq !== seq)
          throw new Error(`${session} ends at ${seq} for its agent, not for the node`);
      }
      return rows;
    } finally {
      load.close();
    }
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
