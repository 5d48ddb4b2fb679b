import type { Helper } from '../support/helper.ts';
import { getAll, type BenchNode } from '../support/node.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { Order, Work } from './load-process.ts';
import type { LoadResult } from './load.ts';
import type { Plan } from './plan.ts';

/** The closed loop at several depths and the open loop, in rounds. */
export interface Talked {
  readonly rows: readonly Row[];
  readonly work: Work;
  readonly results: Readonly<Record<string, readonly LoadResult[]>>;
}

const wantedPerSecond: Record<number, string> = { 1: '25,000', 4: '50,000' };

export async function talk(plan: Plan, node: BenchNode, load: Helper<Order>): Promise<Talked> {
  const results: Record<string, LoadResult[]> = {};
  const add = (key: string, result: LoadResult): void => void (results[key] ??= []).push(result);
  await load.ask({ do: 'open', target: 'kefu', ports: [node.port], pairs: plan.pairs });
  const { warmMs, runMs, rateMs, rate } = plan;
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const inFlight of plan.inFlight)
      add(String(inFlight), await load.ask({ do: 'closed', target: 'kefu', inFlight, warmMs, runMs }));
    add('rate', await load.ask({ do: 'rate', target: 'kefu', perSecond: rate, warmMs, runMs: rateMs }));
  }
  const work = await load.ask<Work>({ do: 'check', target: 'kefu' });
  await compareWithServer(node, work);
  return { rows: rowsOf(plan, results), work, results };
}

function rowsOf(plan: Plan, results: Readonly<Record<string, readonly LoadResult[]>>): Row[] {
  const rows: Row[] = [];
  const add = (
    figure: string,
    key: string,
    value: (result: LoadResult) => number,
    digits: number,
    wanted = none,
  ): void => {
    rows.push([figure, spread((results[key] ?? []).map(value), digits), none, wanted]);
  };
  for (const depth of plan.inFlight) {
    const key = String(depth);
    add(
      `messages/s, ${plan.pairs} pairs, ${depth} in flight a socket`,
      key,
      (it) => it.perSecond,
      0,
      wantedPerSecond[depth],
    );
    add('… ack p50, ms', key, (it) => it.p50Ms, 1);
    add('… ack p99, ms', key, (it) => it.p99Ms, 1);
  }
  const at = `at ${plan.rate.toLocaleString('en')} messages/s, open loop, ack`;
  add(`${at} p50, ms`, 'rate', (it) => it.p50Ms, 2, '2');
  add('… p99, ms', 'rate', (it) => it.p99Ms, 2, '10');
  add('… p99.9, ms', 'rate', (it) => it.p999Ms, 2);
  const cores = Object.values(results).flatMap((list) => list.map((it) => it.loadCores));
  rows.push(['the load generator’s own share of a core', median(cores).toFixed(2), none, none]);
  return rows;
}

/** What the clients counted is what the node has. */
export async function compareWithServer(node: Pick<BenchNode, 'port'>, work: Work): Promise<void> {
  const sessions = await getAll<{ id: string; last_seq: number }>(node.port, '/v1/sessions?state=chatting');
  const there = new Map(sessions.map((session) => [session.id, session.last_seq]));
  for (const [session, seq] of Object.entries(work.lastSeq))
    if (there.get(session) !== seq)
      throw new Error(`${session} ends at ${seq} for its clients, at ${there.get(session)} for the node`);
  if (work.said !== work.acked || work.said !== work.delivered)
    throw new Error(`said ${work.said}, acked ${work.acked}, delivered ${work.delivered}`);
}
