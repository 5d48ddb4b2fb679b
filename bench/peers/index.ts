import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { createLog } from '../../src/log.ts';
import { Helper } from '../support/helper.ts';
import { machine } from '../support/machine.ts';
import { freePort } from '../../scripts/processes.ts';
import { newDataDir, removeDataDir, startBenchNode, type BenchNode } from '../support/node.ts';
import { machineLine, median, spread, table } from '../support/report.ts';
import type { Order, Work } from '../talk/load-process.ts';
import type { LoadResult } from '../talk/load.ts';
import type { Target } from '../talk/pairs.ts';
import { compareWithServer } from '../talk/throughput.ts';
import { writeCharts } from './charts.ts';
import { NotInstalled, type PeerName, type RunningPeer } from './peer.ts';
import { planOf, smoke, type Plan } from './plan.ts';
import { startPeer } from './start.ts';

/**
 * bench/peers: what others would be used instead of kefu, doing the same work on the same PostgreSQL under the same load: a message
 * is stored, acked to its sender and delivered to the other side. First as fast as each can, in turns; then each
 * at half of its own best, and kefu at that same rate.
 */
export { smoke };

/** Ratios to be reached: messages a second of kefu to the peer's, and p99 of kefu to the peer's at half of the peer's best. */
const wanted: Partial<Record<PeerName, { readonly rate: number; readonly p99?: number }>> = {
  'socket-io': { rate: 5, p99: 1 / 3 },
  ejabberd: { rate: 5, p99: 1 / 2 },
  relay: { rate: 0.35 },
  'relay-bytes': { rate: 0.35 },
  bare: { rate: 0.6 },
};

interface Half {
  readonly perSecond: number;
  readonly kefu: LoadResult;
  readonly peer: LoadResult;
}

export interface Report {
  readonly text: string;
  /** Said, acked and delivered by all, in all rounds. */
  readonly messages: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly skipped: Readonly<Record<string, string>>;
  readonly best: Readonly<Record<string, readonly LoadResult[]>>;
  readonly half: Readonly<Record<string, readonly Half[]>>;
}

export async function measure(
  plan: Plan,
  progress: (line: string) => void = () => undefined,
): Promise<Report> {
  const dataDir = newDataDir();
  const log = createLog({ level: 'error', format: 'json' });
  const postgres = await startEmbeddedPostgres({
    dataDir,
    sharedBuffersBytes: 256 * 2 ** 20,
    loopbackPort: await freePort(),
    log,
    onExit: () => process.exit(1),
  });
  const load = new Helper<Order>(new URL('../talk/load-process.ts', import.meta.url));
  const peers = new Map<PeerName, RunningPeer>();
  const skipped: Record<string, string> = {};
  let node: BenchNode | undefined;
  try {
    if (!('socketDir' in postgres.address)) throw new Error('a PostgreSQL of our own is meant');
    const { socketDir, port, user, database } = postgres.address;
    node = await startBenchNode(dataDir, {
      KEFU_POSTGRES: `postgres://${user}@localhost:${port}/${database}?host=${socketDir}`,
    });
    await load.ask({ do: 'open', target: 'kefu', ports: [node.port], pairs: plan.pairs });
    for (const name of plan.peers) {
      try {
        const peer = await startPeer(name, postgres.address, dataDir, 2 * plan.pairs);
        peers.set(name, peer);
        await load.ask({ do: 'open', target: name, ports: [peer.port], pairs: plan.pairs });
        progress(`${peer.label} is ready`);
      } catch (error) {
        if (!(error instanceof NotInstalled)) throw error;
        skipped[name] = error.message;
        progress(error.message);
      }
    }
    const best = await atBest(plan, load, [...peers.keys()], progress);
    const half = await atHalf(plan, load, [...peers.keys()], best, progress);
    const work = await load.ask<Work>({ do: 'check', target: 'kefu' });
    await compareWithServer(node, work);
    let messages = work.delivered;
    for (const name of peers.keys())
      messages += (await load.ask<Work>({ do: 'check', target: name })).delivered;
    const labels = Object.fromEntries([...peers].map(([name, { label }]) => [name, label]));
    const text = textOf(plan, { labels, skipped, best, half, messages });
    return { text, messages, labels, skipped, best, half };
  } finally {
    load.close();
    for (const peer of peers.values()) peer.stop();
    await node?.stop();
    await postgres.stop();
    removeDataDir(dataDir);
  }
}

async function atBest(
  { rounds, inFlight, warmMs, runMs }: Plan,
  load: Helper<Order>,
  names: readonly PeerName[],
  progress: (line: string) => void,
): Promise<Record<string, LoadResult[]>> {
  const best: Record<string, LoadResult[]> = {};
  for (let round = 0; round < rounds; round += 1)
    for (const target of ['kefu', ...names] as readonly Target[]) {
      const result = await load.ask<LoadResult>({ do: 'closed', target, inFlight, warmMs, runMs });
      (best[target] ??= []).push(result);
      progress(`${target}: ${Math.round(result.perSecond)}/s, p99 ${result.p99Ms.toFixed(1)} ms`);
    }
  return best;
}

/** Only those that store: a latency without it says nothing. */
async function atHalf(
  { rounds, warmMs, runMs }: Plan,
  load: Helper<Order>,
  names: readonly PeerName[],
  best: Readonly<Record<string, readonly LoadResult[]>>,
  progress: (line: string) => void,
): Promise<Record<string, Half[]>> {
  const half: Record<string, Half[]> = {};
  for (let round = 0; round < rounds; round += 1)
    for (const target of names) {
      if (target.startsWith('relay')) continue;
      const perSecond = Math.round(median(best[target]!.map((it) => it.perSecond)) / 2);
      const peer = await load.ask<LoadResult>({ do: 'rate', target, perSecond, warmMs, runMs });
      const kefu = await load.ask<LoadResult>({ do: 'rate', target: 'kefu', perSecond, warmMs, runMs });
      (half[target] ??= []).push({ perSecond, kefu, peer });
      progress(
        `at ${perSecond}/s: ${target} p99 ${peer.p99Ms.toFixed(1)} ms, kefu ${kefu.p99Ms.toFixed(1)} ms`,
      );
    }
  return half;
}

const times = (ratio: number): string => `${ratio.toFixed(2)} ×`;

function textOf(plan: Plan, report: Omit<Report, 'text'>): string {
  const { best, half, labels, skipped, messages } = report;
  const rateOf = (name: string): number[] => best[name]!.map((it) => it.perSecond);
  const speeds = ['kefu', ...Object.keys(labels)].map((name) => {
    const ratios = rateOf('kefu').map((perSecond, round) => perSecond / rateOf(name)[round]!);
    const want = wanted[name as PeerName]?.rate;
    const of = (value: (it: LoadResult) => number, digits: number): string =>
      spread(best[name]!.map(value), digits);
    return [
      name === 'kefu' ? '**kefu**' : labels[name]!,
      of((it) => it.perSecond, 0),
      name === 'kefu' ? '1' : `${spread(ratios, 2)} ×`,
      want === undefined ? '–' : times(want),
      `${of((it) => it.p50Ms, 1)} / ${of((it) => it.p99Ms, 1)}`,
      of((it) => it.loadCores, 2),
    ];
  });
  const halves = Object.entries(half).map(([name, rounds]) => {
    const want = wanted[name as PeerName]?.p99;
    return [
      labels[name]!,
      rounds[0]!.perSecond.toLocaleString('en'),
      spread(
        rounds.map(({ peer }) => peer.p99Ms),
        1,
      ),
      spread(
        rounds.map(({ kefu }) => kefu.p99Ms),
        1,
      ),
      `${spread(
        rounds.map(({ kefu, peer }) => kefu.p99Ms / peer.p99Ms),
        2,
      )} ×`,
      want === undefined ? '–' : times(want),
    ];
  });
  const flight = `${plan.pairs} pairs, ${plan.inFlight} in flight a socket`;
  const lines = [
    `${machineLine()}; load average ${loadavg()[0]!.toFixed(1)}; ${plan.rounds} rounds of ${plan.runMs / 1000} s`,
    '',
    ...table(
      [
        `${flight}: stored, acked and delivered`,
        'messages/s',
        'kefu to it',
        'wanted',
        'ack p50 / p99, ms',
        'load, cores',
      ],
      speeds,
    ),
    '',
    ...table(
      ['at half of its own best', 'messages/s', 'its ack p99, ms', 'kefu’s', 'kefu to it', 'wanted'],
      halves,
    ),
    '',
    ...Object.values(skipped),
    `${messages.toLocaleString('en')} messages said = acked = delivered by all; kefu’s and the bare path’s each in order.`,
  ];
  return `${lines.join('\n')}\n`;
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json, charts } = planOf(flags);
  const report = await measure(plan, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(`\n${report.text}`);
  if (charts !== undefined) writeCharts(charts, report);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
