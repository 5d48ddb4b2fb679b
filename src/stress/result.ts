import type { Histogram } from './histogram.ts';
import type { Breach } from './session-check.ts';
import type { Counts, Example, LatencyName } from './tally.ts';
import type { ThresholdResult } from './thresholds.ts';

/** All that is known at the end of a run: what `--json` writes, and the report shows. */
export interface Result {
  readonly tool: { readonly version: string; readonly node: string };
  readonly run: string;
  readonly startedAt: string;
  /** Ended before its time, by a signal. */
  readonly isCutShort: boolean;
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly servers: readonly Readonly<Record<string, string | number>>[];
  readonly whole: PhaseResult;
  readonly phases: readonly PhaseResult[];
  readonly stepSeconds: number;
  readonly series: readonly Point[];
  /** Where the phases begin, in seconds of the series. */
  readonly marks: readonly { readonly name: string; readonly atS: number }[];
  readonly distributions: Readonly<Record<'ack' | 'delivery', readonly Bucket[]>>;
  readonly contract: Contract;
  readonly verdicts: readonly Verdict[];
  readonly thresholds: readonly ThresholdResult[];
  readonly errors: Readonly<Record<string, number>>;
  readonly generator: GeneratorResult;
  readonly memory: Memory;
  readonly exitCode: 0 | 1 | 3;
}

export interface Bucket {
  readonly ms: number;
  readonly count: number;
}

/** Milliseconds. */
export interface Figures {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface PhaseResult {
  readonly name: string;
  readonly seconds: number;
  readonly counts: Counts;
  readonly saidPerSecond: number;
  readonly ackedPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly latencies: Readonly<Partial<Record<LatencyName, Figures>>>;
}

/** One step of the series; rates are a second, latencies in milliseconds, null where there were none. */
export interface Point {
  readonly atS: number;
  readonly said: number;
  readonly acked: number;
  readonly delivered: number;
  readonly arrived: number;
  readonly refused: number;
  readonly errors: number;
  readonly stormed: number;
  readonly stormRefused: number;
  readonly connections: number;
  readonly customers: number;
  readonly ackP50: number | null;
  readonly ackP99: number | null;
  readonly ackP999: number | null;
  readonly deliveryP99: number | null;
  readonly memoryBytes: number | null;
}

export interface Contract {
  readonly ok: boolean;
  readonly frames: number;
  readonly audited: number;
  readonly compared: number;
  readonly breaches: Readonly<Partial<Record<Breach, number>>>;
  readonly examples: readonly Example[];
}

/** What a profile is to show. */
export interface Verdict {
  readonly name: 'unnoticed' | 'limits' | 'recovered' | 'queued';
  /** Null: told, not judged. */
  readonly ok: boolean | null;
  readonly values: Readonly<Record<string, number | null>>;
}

export interface GeneratorResult {
  readonly processes: number;
  readonly coresMax: number;
  readonly lagP99Ms: number | null;
  readonly lagMaxMs: number | null;
  readonly isBehind: boolean;
  readonly skipped: number;
}

export interface Memory {
  readonly beforeBytes: number | null;
  readonly maxBytes: number | null;
  readonly afterBytes: number | null;
}

export function figuresOf(histogram: Histogram): Figures {
  return {
    count: histogram.count,
    p50: histogram.percentile(0.5),
    p90: histogram.percentile(0.9),
    p99: histogram.percentile(0.99),
    p999: histogram.percentile(0.999),
    max: histogram.percentile(1),
  };
}
