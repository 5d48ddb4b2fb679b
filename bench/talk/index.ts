import { writeFileSync } from 'node:fs';
import { Helper } from '../support/helper.ts';
import { machine } from '../support/machine.ts';
import { newDataDir, removeDataDir, startBenchNode } from '../support/node.ts';
import { markdown, none, spread, type Row } from '../support/report.ts';
import type { Order } from './load-process.ts';
import { planOf, smoke, type Plan } from './plan.ts';
import { bySessions, bySize, byWorkers } from './scale.ts';
import { stopUnderLoad } from './stop.ts';
import { talk, type Talked } from './throughput.ts';

/**
 * bench/talk: customers and agents talk through one node, with its PostgreSQL and this load on the same machine.
 * Every message counted is committed, acked and delivered to the other side, and every socket's order is checked;
 * a fault of any kind ends the run with an error instead of a figure.
 */
export interface Report {
  readonly rows: readonly Row[];
  /** Acked and delivered in all rounds. */
  readonly messages: number;
  /** What was done and compared: less work can't look like speed. */
  readonly checksum: string;
  readonly results: Talked['results'];
}

export { smoke };

export async function measure(
  plan: Plan,
  progress: (rows: readonly Row[]) => void = () => undefined,
): Promise<Report> {
  const rows: Row[] = [];
  const add = (more: readonly Row[]): void => {
    rows.push(...more);
    progress(more);
  };
  const dataDir = newDataDir();
  const load = new Helper<Order>(new URL('load-process.ts', import.meta.url));
  let talked: Talked | undefined;
  try {
    let node = await startBenchNode(dataDir);
    if (plan.parts.includes('start')) {
      const firstMs = node.readyMs;
      const againMs: number[] = [];
      for (let round = 0; round < plan.rounds; round += 1) {
        await node.stop();
        node = await startBenchNode(dataDir);
        againMs.push(node.readyMs);
      }
      add([
        ['ready to serve, first start (initdb included)', `${Math.round(firstMs)} ms`, none, '6 s'],
        ['ready to serve, started again, ms', spread(againMs), none, '2 s'],
      ]);
    }
    if (plan.parts.includes('talk') || plan.parts.includes('stop')) {
      const rounds = plan.parts.includes('talk') ? plan.rounds : 0;
      talked = await talk({ ...plan, rounds }, node, load);
      if (rounds > 0) add(talked.rows);
    }
    if (plan.parts.includes('stop')) {
      const stopped = await stopUnderLoad(node, load, Math.min(plan.runMs, 1000));
      node = stopped.node;
      add(stopped.rows);
    }
    await node.stop();
  } finally {
    load.close();
    removeDataDir(dataDir);
  }
  if (plan.parts.includes('sessions')) add(await bySessions(plan));
  if (plan.parts.includes('workers')) add(await byWorkers(plan));
  if (plan.parts.includes('size')) add(await bySize(plan));
  const work = talked?.work;
  const seqs = Object.values(work?.lastSeq ?? {}).reduce((sum, seq) => sum + seq, 0);
  const checksum =
    work === undefined
      ? 'what was said was acked, and the last events were compared with the node’s'
      : `said = acked = delivered = ${work.delivered}, each in order; the last seqs add up to ${seqs} for both ` +
        `sides and for the node; ${work.compared} messages compared as a whole`;
  return { rows, messages: work?.delivered ?? 0, checksum, results: talked?.results ?? {} };
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json } = planOf(flags);
  const report = await measure(plan, (rows) =>
    process.stderr.write(`${rows.map((row) => row.join(' | ')).join('\n')}\n\n`),
  );
  process.stdout.write(`\n${markdown(report.rows, [report.checksum])}`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
