import { Histogram } from '../../src/stress/histogram.ts';
import type { Pairs } from './pairs.ts';
import { idOf } from './side.ts';

/** The two loads: as fast as answers come, and at a fixed rate whatever comes back. */
export interface LoadResult {
  readonly seconds: number;
  /** Acked to its sender and delivered to the other side, a second. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxBehindMs: number;
  /** Of one core, what the load generator itself used. */
  readonly loadCores: number;
}

const settleMs = 20_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function measure(pairs: Pairs): () => LoadResult {
  const { tally } = pairs;
  const before = { ...tally };
  const latency = new Histogram();
  tally.latency = latency;
  const started = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(cpu);
    return {
      seconds,
      perSecond: Math.min(tally.acked - before.acked, tally.delivered - before.delivered) / seconds,
      p50Ms: latency.percentile(0.5),
      p99Ms: latency.percentile(0.99),
      p999Ms: latency.percentile(0.999),
      maxBehindMs: 0,
      loadCores: (used.user + used.system) / 1e6 / seconds,
    };
  };
}

/** Every socket keeps `inFlight` messages on their way. */
export async function closedLoop(
  pairs: Pairs,
  inFlight: number,
  warmMs: number,
  runMs: number,
): Promise<LoadResult> {
  let running = true;
  pairs.tally.onAck = (side) => {
    if (running) side.say(performance.now());
  };
  for (const side of pairs.sides)
    for (let count = 0; count < inFlight; count += 1) side.say(performance.now());
  await pause(warmMs);
  const finish = measure(pairs);
  await pause(runMs);
  const result = finish();
  running = false;
  await settle(pairs);
  return result;
}

/** So many messages a second whatever comes back; a latency counts from when its message was due. */
export async function openLoop(
  pairs: Pairs,
  perSecond: number,
  warmMs: number,
  runMs: number,
): Promise<LoadResult> {
  pairs.tally.onAck = () => undefined;
  const started = performance.now();
  let sent = 0;
  let maxBehindMs = 0;
  let finish: (() => LoadResult) | undefined;
  let result: LoadResult | undefined;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      if (finish === undefined && now - started > warmMs) finish = measure(pairs);
      if (now - started > warmMs + runMs) {
        clearInterval(timer);
        result = finish!();
        return resolve();
      }
      const due = ((now - started) / 1000) * perSecond;
      maxBehindMs = Math.max(maxBehindMs, now - started - (sent / perSecond) * 1000);
      for (; sent < due; sent += 1)
        pairs.sides[sent % pairs.sides.length]!.say(started + (sent / perSecond) * 1000);
    }, 1);
  });
  await settle(pairs);
  return { ...result!, maxBehindMs };
}

/** What was acked and what was refused, session by session, and from which seq on. */
export interface Told {
  readonly sessions: Record<string, ToldSession>;
}
export interface ToldSession {
  readonly from: number;
  readonly acked: [id: string, seq: number][];
  readonly refused: string[];
}

/** Everybody talks until the last connection has ended. */
export async function talkUntilGone(pairs: Pairs, inFlight: number): Promise<Told> {
  const told: Told = { sessions: {} };
  let open = pairs.sides.length;
  const gone = new Promise<void>((resolve) => {
    for (const { client } of pairs.sides)
      client.onClose = () => {
        open -= 1;
        if (open === 0) resolve();
      };
  });
  for (const { session, lastSeq } of pairs.sides)
    told.sessions[session] = { from: lastSeq, acked: [], refused: [] };
  pairs.tally.onAck = (side, number) => {
    told.sessions[side.session]!.acked.push([idOf(number), side.lastSeq]);
    if (!side.client.closed) side.say(performance.now());
  };
  pairs.tally.onRefused = (side, number) => void told.sessions[side.session]!.refused.push(idOf(number));
  for (const side of pairs.sides)
    for (let count = 0; count < inFlight; count += 1) side.say(performance.now());
  await gone;
  failOnFaults(pairs);
  return told;
}

/** Waits until everything that was said was acked and delivered. */
async function settle(pairs: Pairs): Promise<void> {
  const { tally } = pairs;
  const until = performance.now() + settleMs;
  const isOpen = (): boolean => tally.open > 0 || tally.acked !== tally.delivered;
  while (isOpen() && performance.now() < until) await pause(2);
  failOnFaults(pairs);
  if (!isOpen()) return;
  const stuck = pairs.sides.filter((side) => side.open > 0);
  const which = stuck.slice(0, 4).map((it) => `${it.session} (${it.open} after ${it.lastSeq})`);
  throw new Error(
    `said ${tally.said}, acked ${tally.acked}, delivered ${tally.delivered}: some never came, ` +
      `to ${stuck.length} sockets: ${which.join(', ')}`,
  );
}

function failOnFaults({ tally }: Pairs): void {
  if (tally.faults > 0) throw new Error(`${tally.faults} faults, the first: ${tally.firstFault}`);
}
