import { StartError } from '../core/start-error.ts';
import type { Result } from './result.ts';

/** What must hold for the run to have passed: `ack_p99<50ms`, `errors<=0`, `throughput>1000`. */
export interface Threshold {
  readonly text: string;
  readonly metric: string;
  readonly operator: '<' | '<=' | '>' | '>=';
  readonly limit: number;
}

export interface ThresholdResult {
  readonly text: string;
  /** Null: nothing of the kind was measured, which misses. */
  readonly value: number | null;
  readonly ok: boolean;
}

const timed = ['ack', 'delivery', 'connect', 'resume', 'recovery', 'wait', 'http', 'lag'] as const;
const percentiles = { p50: 'p50', p90: 'p90', p99: 'p99', p999: 'p999', max: 'max' } as const;
const counted = {
  errors: (result: Result) => result.whole.counts.errors,
  refused: (result: Result) => result.whole.counts.refused,
  unanswered: (result: Result) => result.whole.counts.unanswered,
  gave_up: (result: Result) => result.whole.counts.gaveUp,
  lost_connections: (result: Result) => result.whole.counts.lost,
  throughput: (result: Result) => result.whole.ackedPerSecond,
  memory_mib: (result: Result) => (result.memory.maxBytes === null ? null : result.memory.maxBytes / 2 ** 20),
} as const;

export const metricNames: readonly string[] = [
  ...timed.flatMap((name) => Object.keys(percentiles).map((of) => `${name}_${of}`)),
  ...Object.keys(counted),
];

/** Throws StartErrors. */
export function parseThreshold(text: string): Threshold {
  const match = /^([a-z_0-9]+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)(ms|s)?$/.exec(text.trim());
  if (match === null)
    throw new StartError(`--threshold: ${JSON.stringify(text)} is not like ack_p99<50ms or errors<=0`);
  const [, metric = '', operator, number, unit] = match;
  if (!metricNames.includes(metric))
    throw new StartError(
      `--threshold: ${metric} is not measured; these are: ${timed.join(', ')} each with _p50, _p90, _p99, _p999 or _max, and ${Object.keys(counted).join(', ')}`,
    );
  const isTime = !(metric in counted);
  if (!isTime && unit !== undefined)
    throw new StartError(`--threshold: ${metric} is a number, without a unit`);
  const limit = Number(number) * (unit === 's' ? 1000 : 1);
  return { text: text.trim(), metric, operator: operator as Threshold['operator'], limit };
}

export function judge(threshold: Threshold, result: Result): ThresholdResult {
  const value = valueOf(threshold.metric, result);
  return { text: threshold.text, value, ok: value !== null && holds(value, threshold) };
}

function valueOf(metric: string, result: Result): number | null {
  if (metric in counted) return counted[metric as keyof typeof counted](result);
  const place = metric.lastIndexOf('_');
  const name = metric.slice(0, place) as (typeof timed)[number];
  return result.whole.latencies[name]?.[metric.slice(place + 1) as keyof typeof percentiles] ?? null;
}

function holds(value: number, { operator, limit }: Threshold): boolean {
  switch (operator) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
  }
}
