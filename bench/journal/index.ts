import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { Histogram } from '../../src/stress/histogram.ts';
import { machine } from '../support/machine.ts';
import { machineLine, median, spread, table } from '../support/report.ts';
import { casesOf, planOf, smoke, type Case, type Plan } from './plan.ts';
import type { Start, WriteOrder, Written } from './worker.ts';

/**
 * bench/journal: the real journal on a real PostgreSQL with fsync, written to by sessions of which each appends its next event
 * when the last one is committed. Latency is from the append to the word of it. After each run the table is compared with
 * what was said to be committed.
 */
export { smoke };

export interface Report {
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
  readonly results: Readonly<Record<string, readonly Outcome[]>>;
}

interface Outcome {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly eventsABatch: number;
  readonly refused: number;
}

const head = ['writers', 'events/s', 'p50, ms', 'p99, ms', 'events a transaction', 'refused, of all rounds'];

export async function measure(
  plan: Plan,
  progress: (line: string) => void = () => undefined,
): Promise<Report> {
  const pg = await startPostgres({ sharedBuffersBytes: 256 * 2 ** 20 });
  const alone = [startThread(pg, 0, 1)];
  const pair = [startThread(pg, 0, 2), startThread(pg, 1, 2)];
  const cases = casesOf(plan);
  const results: Record<string, Outcome[]> = {};
  let number = 0;
  let committed = 0;
  try {
    for (let round = 0; round < plan.rounds; round += 1)
      for (const it of cases) {
        number += 1;
        const threads = it.way.how === 'journal' && it.way.journals === 2 ? pair : alone;
        const written = await write(threads, it, plan, number);
        committed += await compared(pg, it, written);
        const outcome = outcomeOf(written);
        (results[it.name] ??= []).push(outcome);
        progress(`${it.name}: ${Math.round(outcome.perSecond).toLocaleString('en')} events/s`);
      }
  } finally {
    for (const thread of [...alone, ...pair]) await thread.terminate();
    await pg.stop();
  }
  return {
    rows: cases.map(({ name }) => rowOf(name, results[name]!)),
    results,
    notes: [
      `${committed.toLocaleString('en')} events said to be committed, and counted in the table after each run, each session's ` +
        `without a gap; ${plan.rounds} rounds of ${plan.runMs / 1000} s, all ways in turn; median and range.`,
      `Load average at the end: ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}.`,
    ],
  };
}

function startThread({ address }: TestPostgres, index: number, threads: number): Worker {
  const workerData: Start = { address, index, threads };
  return new Worker(new URL('worker.ts', import.meta.url), { workerData });
}

function write(threads: readonly Worker[], it: Case, plan: Plan, number: number): Promise<Written[]> {
  const { warmMs, runMs } = plan;
  const order: WriteOrder = { number, writers: it.writers / threads.length, way: it.way, warmMs, runMs };
  return Promise.all(
    threads.map(
      (thread) =>
        new Promise<Written>((resolve, reject) => {
          const failed = (error: unknown): void =>
            reject(error instanceof Error ? error : new Error(String(error)));
          thread.once('error', failed);
          thread.once('message', (written: Written) => {
            thread.off('error', failed);
            resolve(written);
          });
          thread.postMessage(order);
        }),
    ),
  );
}

/** What the journal said is what the table holds; then it is emptied, so that each run meets the same. */
async function compared({ sql }: TestPostgres, it: Case, written: readonly Written[]): Promise<number> {
  const said = written.reduce((sum, { committed }) => sum + committed, 0);
  const [row] = await sql<{ events: number; gaps: number }[]>`
    select coalesce(sum(events), 0)::int as events, coalesce(sum(last - events), 0)::int as gaps
    from (select count(*) as events, max(seq) as last from events group by session) s`;
  if (row!.events !== said || row!.gaps !== 0)
    throw new Error(
      `${it.name}: ${said} events said to be committed, ${row!.events} there, ${row!.gaps} missing`,
    );
  await sql`truncate events`;
  return said;
}

function outcomeOf(written: readonly Written[]): Outcome {
  const latency = new Histogram();
  for (const { latency: one } of written) latency.merge(one);
  const sum = (of: (one: Written) => number): number => written.reduce((total, one) => total + of(one), 0);
  return {
    perSecond: sum((one) => one.perSecond),
    p50Ms: latency.percentile(0.5),
    p99Ms: latency.percentile(0.99),
    eventsABatch:
      latency.count /
      Math.max(
        1,
        sum((one) => one.batches),
      ),
    refused: sum((one) => one.refused),
  };
}

function rowOf(name: string, rounds: readonly Outcome[]): string[] {
  return [
    name,
    spread(rounds.map(({ perSecond }) => perSecond)),
    spread(
      rounds.map(({ p50Ms }) => p50Ms),
      2,
    ),
    spread(
      rounds.map(({ p99Ms }) => p99Ms),
      2,
    ),
    median(rounds.map(({ eventsABatch }) => eventsABatch)).toFixed(0),
    String(rounds.reduce((sum, { refused }) => sum + refused, 0)),
  ];
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json } = planOf(flags);
  const report = await measure(plan, (line) => process.stderr.write(`${line}\n`));
  const lines = [machineLine(), '', ...table(head, report.rows), '', ...report.notes];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
