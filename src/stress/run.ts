import { readFileSync } from 'node:fs';
import { cpus, totalmem, type, release } from 'node:os';
import { realClock } from '../core/real-clock.ts';
import { StartError } from '../core/start-error.ts';
import { ask } from './ask.ts';
import { Collector } from './collector.ts';
import { makeCrew } from './crew.ts';
import { Generators } from './generators.ts';
import type { Options } from './options.ts';
import type { Order } from './orders.ts';
import { lengthOf, paceOf } from './plan.ts';
import type { GeneratorResult, Memory, Point, Result } from './result.ts';
import { phasesOf, type Shape } from './schedule.ts';
import type { Node } from './target.ts';
import { judge } from './thresholds.ts';
import { verdictsOf } from './verdicts.ts';

/** What the view shows while it runs. */
export interface Live {
  readonly stage: 'crew' | 'warmup' | 'load' | 'settle' | 'compare';
  readonly atMs: number;
  readonly endMs: number;
  readonly point: Point | undefined;
  readonly series: readonly Point[];
  readonly breaches: number;
  readonly errors: number;
  readonly memoryBytes: number | null;
  readonly lagP99Ms: number | null;
}

export interface RunOptions {
  readonly options: Options;
  readonly nodes: readonly Node[];
  readonly admin: { readonly email: string; readonly password: string };
  readonly version: string;
  readonly show: (live: Live) => void;
  /** Aborted: ends early, in order. */
  readonly signal: AbortSignal;
}

const group = 'stress';
const leadMs = 300;
const metricsMs = 1000;
const seriesShown = 60;
/** Later than that, and the figures tell of the generator as much as of the server. */
const behindMs = 20;

/** Loads, checks and measures; rejects with StartErrors when it can't. */
export async function runLoad(run: RunOptions): Promise<Result> {
  const { options, nodes, admin } = run;
  const pace = paceOf(options.customers, options.rate);
  const { profile, customers, warmupMs, durationMs } = options;
  const shape: Shape = { profile, customers, warmupMs, durationMs, lengthMs: lengthOf(pace.thinkMs) };
  await checkNodes(nodes);
  checkOpenFiles(options);
  const startedWallMs = Date.now();
  const name = startedWallMs.toString(36).slice(-7);
  const capacity = Math.ceil((customers * (profile === 'surge' ? 4 : 2)) / options.agents) + 2;
  const seen: { memoryBytes: number | null; stage: Live['stage']; startMs: number } = {
    memoryBytes: null,
    stage: 'crew',
    startMs: Number.NaN,
  };
  const orders = ordersOf(options, nodes, shape, { run: name, startedWallMs, pace });
  const collector = new Collector(orders.length, phasesOf(shape));
  const endMs = warmupMs + durationMs;
  const show = (): void => {
    const atMs = Number.isNaN(seen.startMs) ? 0 : realClock.nowMs() - seen.startMs;
    const lag = collector.sum().latencies.get('lag');
    run.show({
      stage: seen.stage === 'load' && atMs < warmupMs ? 'warmup' : seen.stage,
      atMs,
      endMs,
      point: collector.latest,
      series: collector.series(endMs).slice(-seriesShown),
      breaches: totalOf(collector.breaches),
      errors: totalOf(collector.errors),
      memoryBytes: seen.memoryBytes,
      lagP99Ms: lag === undefined ? null : lag.percentile(0.99),
    });
  };
  show();
  const tokens = await makeCrew({ nodes, admin, count: options.agents, capacity, run: name, group });
  const memory = { before: await memoryOf(nodes), max: null as number | null, after: null as number | null };
  seen.memoryBytes = memory.before;
  const generators = new Generators(
    orders.map((order) => ({
      ...order,
      agents: order.isStorm ? [] : tokens.filter((_, place) => place % options.processes === order.index),
    })),
    (generator, second) => collector.add(generator, second),
  );
  const watch = setInterval(() => {
    void memoryOf(nodes).then((bytes) => {
      seen.memoryBytes = bytes;
      if (bytes === null) return;
      memory.max = Math.max(memory.max ?? 0, bytes);
      collector.memory(realClock.nowMs() - seen.startMs, bytes);
    });
    show();
  }, metricsMs);
  try {
    await generators.heard('ready');
    seen.startMs = realClock.nowMs() + leadMs;
    seen.stage = 'load';
    generators.tell({ t: 'start', atMs: seen.startMs });
    await generators.unlessFailed(pause(leadMs + endMs, run.signal));
    const ranMs = Math.min(endMs, realClock.nowMs() - seen.startMs);
    seen.stage = 'settle';
    const settled = generators.heard('settled');
    generators.tell({ t: 'over' });
    await settled;
    memory.after = await memoryOf(nodes);
    seen.stage = 'compare';
    show();
    const done = generators.heard('done');
    generators.tell({ t: 'finish' });
    await done;
    return resultOf(run, { collector, generators, name, startedWallMs, shape, ranMs, memory });
  } finally {
    clearInterval(watch);
    await generators.end();
  }
}

function ordersOf(
  { processes, seed, profile }: Options,
  nodes: readonly Node[],
  shape: Shape,
  rest: Pick<Order, 'run' | 'startedWallMs' | 'pace'>,
): Order[] {
  const count = processes + (profile === 'storm' ? 1 : 0);
  return Array.from({ length: count }, (_, index) => ({
    ...rest,
    nodes,
    index,
    processes,
    seed,
    group,
    shape,
    agents: [],
    isStorm: index === processes,
  }));
}

interface Ran {
  readonly collector: Collector;
  readonly generators: Generators;
  readonly name: string;
  readonly startedWallMs: number;
  readonly shape: Shape;
  readonly ranMs: number;
  readonly memory: { before: number | null; max: number | null; after: number | null };
}

async function resultOf(run: RunOptions, ran: Ran): Promise<Result> {
  const { collector, generators, shape, ranMs } = ran;
  const { options, nodes } = run;
  const { thresholds } = options;
  const whole = collector.whole(Math.max(0, ranMs - shape.warmupMs) / 1000);
  const memory: Memory = {
    beforeBytes: ran.memory.before,
    maxBytes: ran.memory.max,
    afterBytes: ran.memory.after,
  };
  const sum = collector.sum();
  const lag = sum.latencies.get('lag');
  const generator: GeneratorResult = {
    processes: options.processes,
    coresMax: generators.coresMax,
    lagP99Ms: lag === undefined ? null : lag.percentile(0.99),
    lagMaxMs: lag === undefined ? null : lag.percentile(1),
    isBehind: lag !== undefined && lag.percentile(0.99) > behindMs,
    skipped: whole.counts.skipped,
  };
  const phases = shape.profile === 'steady' ? [] : collector.phases;
  const isKept = totalOf(collector.breaches) === 0;
  const result: Result = {
    tool: { version: run.version, node: process.version },
    run: ran.name,
    startedAt: new Date(ran.startedWallMs).toISOString(),
    isCutShort: ranMs < shape.warmupMs + shape.durationMs,
    options: {
      url: options.urls ?? null,
      profile: options.profile,
      customers: options.customers,
      agents: options.agents,
      rate: options.rate,
      durationMs: options.durationMs,
      warmupMs: options.warmupMs,
      processes: options.processes,
      seed: options.seed,
      thresholds: thresholds.map(({ text }) => text).join(', '),
      thinkMs: Math.round(paceOf(options.customers, options.rate).thinkMs),
    },
    machine: {
      cpu: cpus()[0]?.model ?? '?',
      cores: cpus().length,
      memoryBytes: totalmem(),
      system: `${type()} ${release()}`,
    },
    servers: nodes.map(({ url }) => ({ url })),
    whole,
    phases,
    stepSeconds: collector.stepSeconds,
    series: collector.series(shape.warmupMs + shape.durationMs),
    marks: phasesOf(shape).map(({ name, fromMs }) => ({ name, atS: fromMs / 1000 })),
    distributions: {
      ack: sum.latencies.get('ack')?.buckets() ?? [],
      delivery: sum.latencies.get('delivery')?.buckets() ?? [],
    },
    contract: {
      ok: isKept,
      frames: whole.counts.frames,
      audited: whole.counts.audited,
      compared: whole.counts.compared,
      breaches: collector.breaches,
      examples: generators.examples.slice(0, 20),
    },
    verdicts: verdictsOf(shape.profile, phases, memory),
    thresholds: [],
    errors: collector.errors,
    generator,
    memory,
    exitCode: 0,
  };
  const judged = thresholds.map((threshold) => judge(threshold, result));
  const isMissed = judged.some(({ ok }) => !ok) || result.verdicts.some(({ ok }) => ok === false);
  return { ...result, thresholds: judged, exitCode: isKept ? (isMissed ? 1 : 0) : 3 };
}

async function checkNodes(nodes: readonly Node[]): Promise<void> {
  for (const node of nodes) {
    const answer = await ask(node, 'GET', '/readyz').catch((error: unknown) => {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new StartError(`${node.url} can’t be reached: ${code ?? message}`);
    });
    if (answer.status !== 200)
      throw new StartError(`${node.url} is not ready: /readyz answers ${answer.status}`);
  }
}

/** What the connections of one process take must be allowed. */
function checkOpenFiles({ customers, agents, processes, profile }: Options): void {
  let allowed: number;
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    allowed = Number(/Max open files\s+(\d+)/.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return;
  }
  const needed = Math.ceil(((customers * (profile === 'surge' ? 10 : 1.5) + agents) * 1.3) / processes) + 300;
  if (needed > allowed)
    throw new StartError(
      `a generator needs about ${needed} open files, and may have ${allowed}: ulimit -n ${needed}, or more --processes`,
    );
}

/** Of the fullest node; null where /metrics is not open to us. */
async function memoryOf(nodes: readonly Node[]): Promise<number | null> {
  const all = await Promise.all(
    nodes.map(async (node) => {
      const answer = await ask(node, 'GET', '/metrics').catch(() => undefined);
      const found = /^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)/m.exec(String(answer?.body ?? ''));
      return found === null ? null : Number(found[1]);
    }),
  );
  const known = all.filter((bytes) => bytes !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function totalOf(counts: Readonly<Record<string, number | undefined>>): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const cancel = realClock.after(ms, resolve);
    signal.addEventListener('abort', () => {
      cancel();
      resolve();
    });
  });
}
