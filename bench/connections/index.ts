import { writeFileSync } from 'node:fs';
import { TestCluster } from '../../test/support/cluster.ts';
import { machine } from '../support/machine.ts';
import { megabytes, settledMemory } from '../support/memory.ts';
import { newDataDir, noLimits, removeDataDir, startBenchNode } from '../support/node.ts';
import { markdown, none, percentile, spread, type Row } from '../support/report.ts';
import { Crowd } from './crowd.ts';
import { planOf, smoke, type Plan } from './plan.ts';

/**
 * bench/connections: what connected customers cost, how fast they connect, and what happens when all of them are cut
 * off and come back at once.
 */
export { smoke };

export interface Report {
  readonly rows: readonly Row[];
  readonly checksum: string;
}

/** Under the 20,000 files of a process, with room for everything else. */
const perNodeMax = 17_500;
/** As `npm start` sets it. */
const env = { ...noLimits, MALLOC_ARENA_MAX: '1', KEFU_WORKERS: '1' };

export async function measure(
  plan: Plan,
  progress: (line: string) => void = () => undefined,
): Promise<Report> {
  const rows: Row[] = [];
  const work: string[] = [];
  const add = (part: { rows: readonly Row[]; work: string }): void => {
    rows.push(...part.rows);
    work.push(part.work);
    for (const row of part.rows) progress(row.join(' | '));
  };
  if (plan.parts.includes('idle')) add(await idle(plan, progress));
  if (plan.parts.includes('open')) add(await open(plan));
  if (plan.parts.includes('storm')) add(await storm(plan, progress));
  return { rows, checksum: work.join('; ') };
}

/** Over several nodes of a cluster with their NATS and one PostgreSQL. */
async function idle(
  { customers, stillMs }: Plan,
  progress: (line: string) => void,
): Promise<{ rows: Row[]; work: string }> {
  const nodeCount = Math.max(2, Math.ceil(customers / perNodeMax));
  const cluster = await TestCluster.start({
    nodes: nodeCount,
    workers: 1,
    env: { ...env, KEFU_NATS_FEED: 'false' },
  });
  const crowds: Crowd[] = [];
  try {
    const pids = cluster.nodes.map((node) => node.pid);
    const before = await settledMemory(pids, stillMs);
    const rates: number[] = [];
    for (const [index, node] of cluster.nodes.entries()) {
      const count = Math.floor(customers / nodeCount) + (index === 0 ? customers % nodeCount : 0);
      const crowd = await Crowd.visit(node.port, count);
      crowds.push(crowd);
      const { connected, seconds } = await crowd.connect();
      rates.push(connected / seconds);
      progress(`${connected} customers on node ${index + 1} in ${seconds.toFixed(1)} s`);
    }
    const full = await settledMemory(pids, stillMs);
    let still = 0;
    for (const crowd of crowds) still += await crowd.count();
    if (still !== customers) throw new Error(`of ${customers} customers ${customers - still} were cut off`);
    const many = customers.toLocaleString('en');
    const each = (full.pssBytes - before.pssBytes) / customers / 1000;
    return {
      rows: [
        [
          `server memory with ${many} connected customers on ${nodeCount} nodes, PostgreSQL and NATS aside`,
          `${megabytes(full.pssBytes)} (idle: ${megabytes(before.pssBytes)})`,
          none,
          '1,000 MB',
        ],
        [
          '… the same with what processes share counted for each',
          `${megabytes(full.rssBytes)} (idle: ${megabytes(before.rssBytes)})`,
          none,
          none,
        ],
        ['… a connected customer', `${each.toFixed(2)} kB`, none, none],
        ['connects/s to one node (upgrade, hello, ready), one worker', spread(rates), none, none],
      ],
      work: `${many} customers connected and still there at the end`,
    };
  } finally {
    for (const crowd of crowds) crowd.close();
    await cluster.stop();
  }
}

async function open({ openSessions, stillMs }: Plan): Promise<{ rows: Row[]; work: string }> {
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir);
  let crowd: Crowd | undefined;
  try {
    const before = await settledMemory([node.pid], stillMs);
    crowd = await Crowd.visit(node.port, openSessions);
    await crowd.connect();
    await crowd.open();
    const full = await settledMemory([node.pid], stillMs);
    const still = await crowd.count();
    if (still !== openSessions) throw new Error(`of ${openSessions} customers only ${still} are left`);
    const each = (full.rssBytes - before.rssBytes) / openSessions / 1000;
    const many = openSessions.toLocaleString('en');
    return {
      rows: [
        [
          `memory a connected customer with an open session, ${many} of them`,
          `${each.toFixed(1)} kB (${megabytes(before.rssBytes)} → ${megabytes(full.rssBytes)})`,
          none,
          '10 kB',
        ],
      ],
      work: `${many} sessions opened`,
    };
  } finally {
    crowd?.close();
    await node.stop();
    removeDataDir(dataDir);
  }
}

/** All are cut off in the middle of a message, and come back as fast as they can. */
async function storm(plan: Plan, progress: (line: string) => void): Promise<{ rows: Row[]; work: string }> {
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir);
  let crowd: Crowd | undefined;
  try {
    crowd = await Crowd.visit(node.port, plan.storm);
    await crowd.connect();
    await crowd.open();
    await crowd.say();
    const before = await settledMemory([node.pid], plan.stillMs);
    const half: number[] = [];
    const last: number[] = [];
    const acked: number[] = [];
    for (let round = 0; round < plan.rounds; round += 1) {
      const { readyMs, ackedMs } = await crowd.storm();
      half.push(percentile(readyMs, 0.5));
      last.push(Math.max(...readyMs));
      acked.push(Math.max(...ackedMs));
      progress(
        `all back after ${Math.round(last.at(-1)!)} ms, all acked after ${Math.round(acked.at(-1)!)} ms`,
      );
    }
    // Longer than it takes to be looked at again.
    const after = await settledMemory([node.pid], 2 * plan.stillMs);
    const checked = await crowd.check(node.port);
    const many = plan.storm.toLocaleString('en');
    return {
      rows: [
        [`reconnect storm of ${many} clients: half are served after, ms`, spread(half), none, none],
        ['… all', spread(last), none, '5,000'],
        ['… all, and what they were saying is acked', spread(acked), none, none],
        [
          '… memory before, and after it',
          `${megabytes(before.rssBytes)}, ${megabytes(after.rssBytes)}: ${(after.rssBytes / before.rssBytes).toFixed(2)} ×`,
          none,
          '1.10 ×',
        ],
      ],
      work: `${checked.toLocaleString('en')} messages were acked, and each is in the history once, at its seq`,
    };
  } finally {
    crowd?.close();
    await node.stop();
    removeDataDir(dataDir);
  }
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json } = planOf(flags);
  const report = await measure(plan, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(`\n${markdown(report.rows, [report.checksum])}`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
