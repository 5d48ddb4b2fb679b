import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { machine, median, spread } from '../support/machine.ts';
import { newDataDir, post, removeDataDir, startBenchNode, type BenchNode } from '../support/node.ts';
import type { LoadResult } from './load.ts';

/**
 * bench/talk: customers and agents talk through one node, with its PostgreSQL and this load on the same machine.
 * Every message counted is committed, acked and delivered to the other side, and every socket's order is checked.
 */
interface Plan {
  readonly pairs: number;
  readonly rounds: number;
  readonly warmMs: number;
  readonly runMs: number;
  readonly inFlight: readonly number[];
  readonly rate: number;
  readonly crowd: number;
}

const whole: Plan = {
  pairs: 200,
  rounds: 3,
  warmMs: 1500,
  runMs: 5000,
  inFlight: [1, 4, 16],
  rate: 5000,
  crowd: 15_000,
};
export const smoke: Plan = {
  pairs: 5,
  rounds: 1,
  warmMs: 200,
  runMs: 600,
  inFlight: [4],
  rate: 200,
  crowd: 40,
};

export interface Report {
  readonly rows: readonly (readonly [figure: string, value: string, wanted: string])[];
  /** Messages acked and delivered in all runs: less work can't look like speed. */
  readonly messages: number;
  readonly faults: number;
}

interface Talker {
  order<T>(order: object): Promise<T>;
  end(): void;
}

function startProcess(file: string): Talker {
  const child: ChildProcess = fork(fileURLToPath(new URL(file, import.meta.url)), { stdio: 'inherit' });
  return {
    order: (order) =>
      new Promise((resolve, reject) => {
        const failed = (): void => reject(new Error(`${file} ended`));
        child.once('exit', failed);
        child.once('message', (answer: { result: never; error?: string }) => {
          child.off('exit', failed);
          if (answer.error === undefined) resolve(answer.result);
          else reject(new Error(answer.error));
        });
        child.send(order);
      }),
    end: () => child.disconnect(),
  };
}

export async function measure(plan: Plan): Promise<Report> {
  const rows: [string, string, string][] = [];
  const dataDir = newDataDir();
  let messages = 0;
  let faults = 0;
  const add = (result: LoadResult): LoadResult => {
    messages += result.messages;
    faults += result.faults;
    return result;
  };
  let node = await startBenchNode(dataDir);
  const firstMs = node.readyMs;
  await node.stop();
  node = await startBenchNode(dataDir);
  rows.push(['ready, first time (initdb included)', `${Math.round(firstMs)} ms`, '6 s']);
  rows.push(['ready, again', `${Math.round(node.readyMs)} ms`, '2 s']);

  const talk = startProcess('./load-process.ts');
  await talk.order({ do: 'open', port: node.port, pairs: plan.pairs });
  const { rounds, warmMs, runMs } = plan;
  for (const inFlight of plan.inFlight) {
    const results: LoadResult[] = [];
    for (let round = 0; round < rounds; round += 1)
      results.push(add(await talk.order<LoadResult>({ do: 'closed', inFlight, warmMs, runMs })));
    const wanted = ({ 1: '25,000', 4: '50,000' } as Record<number, string>)[inFlight] ?? '–';
    const rate = spread(results.map((it) => it.messages / it.seconds));
    rows.push([`messages/s, ${plan.pairs} pairs, ${inFlight} in flight a socket`, rate, wanted]);
    const latency = (['p50Ms', 'p99Ms'] as const).map((name) =>
      median(results.map((it) => it[name])).toFixed(1),
    );
    rows.push([`… ack p50 / p99`, `${latency.join(' / ')} ms`, '–']);
  }
  const open: LoadResult[] = [];
  for (let round = 0; round < rounds; round += 1)
    open.push(add(await talk.order<LoadResult>({ do: 'rate', perSecond: plan.rate, warmMs, runMs })));
  rows.push([
    `ack p50 at ${plan.rate} messages/s, open loop`,
    `${spread(
      open.map((it) => it.p50Ms),
      2,
    )} ms`,
    '2 ms',
  ]);
  rows.push([
    `… p99`,
    `${spread(
      open.map((it) => it.p99Ms),
      2,
    )} ms`,
    '10 ms',
  ]);
  rows.push([
    `… p99.9`,
    `${spread(
      open.map((it) => it.p999Ms),
      2,
    )} ms`,
    '–',
  ]);

  const stopping = talk.order<LoadResult & { acked: number }>({ do: 'stop', inFlight: 4 });
  await pause(500);
  const stopMs = await node.stop();
  const told = await stopping;
  node = await startBenchNode(dataDir);
  const stored = await storedMessages(node);
  faults += stored < told.acked ? 1 : 0;
  talk.end();
  rows.push(['SIGTERM under load to exit 0', `${Math.round(stopMs)} ms`, '2 s']);
  rows.push(['… messages acked in all / in the database after', `${told.acked} / ${stored}`, 'none lost']);
  await node.stop();
  removeDataDir(dataDir);

  rows.push(['memory a connected customer with an open session', await crowdMemory(plan.crowd), '10 kB']);
  return { rows, messages, faults };
}

/** All messages, counted by the node itself from what it serves. */
async function storedMessages(node: BenchNode): Promise<number> {
  const admin = await post<{ token: string }>(node.port, '/v1/login', {
    email: 'admin@demo.kefu',
    password: 'demo',
  });
  const headers = { authorization: `Bearer ${admin.token}` };
  let messages = 0;
  for (let cursor = ''; ;) {
    const response = await fetch(`http://127.0.0.1:${node.port}/v1/sessions?limit=100&cursor=${cursor}`, {
      headers,
    });
    const page = (await response.json()) as { data: { last_seq: number }[]; next: string | null };
    // Each session began with `opened` and `assigned`.
    for (const session of page.data) messages += session.last_seq - 2;
    if (page.next === null) return messages;
    cursor = page.next;
  }
}

async function crowdMemory(count: number): Promise<string> {
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir);
  const idle = await settled(node);
  const processes = Array.from({ length: 2 }, () => startProcess('./crowd-process.ts'));
  const orders = processes.map((part, n) =>
    part.order<number>({ port: node.port, count: Math.floor(count / processes.length), address: n + 10 }),
  );
  const connected = (await Promise.all(orders)).reduce((sum, part) => sum + part, 0);
  const full = await settled(node);
  for (const part of processes) part.end();
  await node.stop();
  removeDataDir(dataDir);
  const each = (full - idle) / connected / 1000;
  return `${each.toFixed(1)} kB (${connected} customers; ${Math.round(idle / 1e6)} → ${Math.round(full / 1e6)} MB)`;
}

/** Memory once it has stopped falling: what is garbage now should not count, and nobody forces a collection. */
async function settled(node: BenchNode): Promise<number> {
  let least = node.rssBytes();
  for (let still = 0; still < 5;) {
    await pause(1000);
    const now = node.rssBytes();
    still = now > least * 0.99 ? still + 1 : 0;
    least = Math.min(least, now);
  }
  return least;
}

export async function run(flags: readonly string[]): Promise<void> {
  const report = await measure(flags.includes('--smoke') ? smoke : whole);
  const lines = [
    machine(),
    '',
    '| figure | reached | at least |',
    '| --- | --- | --- |',
    ...report.rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    `${report.messages} messages acked and delivered, ${report.faults} out of order, lost or repeated`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const at = flags.indexOf('--json');
  if (at >= 0) writeFileSync(flags[at + 1]!, JSON.stringify({ machine: machine(), ...report }, null, 2));
  if (report.faults > 0) process.exit(1);
}
