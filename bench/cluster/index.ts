import { writeFileSync } from 'node:fs';
import { machine } from '../support/machine.ts';
import { markdown, type Row } from '../support/report.ts';
import { ask } from './ask.ts';
import { drain, kill, startTalkers } from './faults.ts';
import { feed } from './feed.ts';
import { idle } from './idle.ts';
import { planOf, smoke, type Measured, type Part, type Plan } from './plan.ts';
import { throughput } from './throughput.ts';
import { startWorld } from './world.ts';

/**
 * bench/cluster: three nodes, their NATS, their PostgreSQL and the load on one machine. Every message counted is
 * committed, acked and delivered to the other side, each in its place; a fault of any kind ends the run with an
 * error instead of a figure.
 */
export interface Report {
  readonly rows: readonly Row[];
  /** What each part did and compared. */
  readonly checksum: readonly string[];
  readonly results: Readonly<Record<string, unknown>>;
}

export { smoke };

/** Parts that share a cluster: with one NATS server, and with three. */
const groups: readonly (readonly Part[])[] = [['idle', 'feed', 'drain', 'kill'], ['nats']];

export async function measure(
  plan: Plan,
  progress: (rows: readonly Row[]) => void = () => undefined,
): Promise<Report> {
  const rows: Row[] = [];
  const checksum: string[] = [];
  const results: Record<string, unknown> = {};
  const add = (part: Part, measured: Measured): void => {
    rows.push(...measured.rows);
    checksum.push(`${part}: ${measured.work}.`);
    results[part] = measured.results;
    progress(measured.rows);
  };
  if (plan.parts.includes('ask')) add('ask', await ask(plan));
  for (const group of groups) {
    const parts = plan.parts.filter((part) => group.includes(part));
    const said = parts.length === 0 ? undefined : await talkThrough(parts, plan, add);
    if (said !== undefined) checksum.push(said);
  }
  if (plan.parts.includes('talk')) add('talk', await throughput(plan));
  return { rows, checksum, results };
}

/** One cluster and its talkers through several parts; what they said in all. */
async function talkThrough(
  parts: readonly Part[],
  plan: Plan,
  add: (part: Part, measured: Measured) => void,
): Promise<string | undefined> {
  const world = await startWorld(parts.includes('nats') ? 3 : 1);
  const { cluster } = world;
  try {
    if (parts.includes('idle')) add('idle', await idle(world, plan));
    if (parts.every((part) => part === 'idle')) return;
    const talkers = await startTalkers(cluster, plan.watched);
    if (parts.includes('feed')) add('feed', await feed(cluster, talkers, plan));
    if (parts.includes('drain')) add('drain', await drain(cluster, talkers, plan));
    for (const part of ['kill', 'nats'] as const)
      if (parts.includes(part)) add(part, await kill(cluster, talkers, plan, part === 'nats'));
    const { said, delivered, reconnects, again } = await talkers.close();
    return (
      `${parts.join(', ')}: ${said.toLocaleString('en')} messages said = acked = delivered (${delivered.toLocaleString('en')}), ` +
      `each in order, over ${reconnects} reconnects and ${again} repeats.`
    );
  } catch (error) {
    for (const node of cluster.nodes) process.stderr.write(`\n${node.url}\n${node.logs().slice(-4000)}`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json } = planOf(flags);
  // Each node that is started anew asks to be told of this process's end.
  process.setMaxListeners(0);
  const report = await measure(plan, (rows) =>
    process.stderr.write(`${rows.map((row) => row.join(' | ')).join('\n')}\n\n`),
  );
  process.stdout.write(`\n${markdown(report.rows, report.checksum)}`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
