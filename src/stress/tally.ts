import { Histogram, type PackedHistogram } from './histogram.ts';
import type { Breach } from './session-check.ts';

/** What happened within a second, in one generator; sent on as it is, and added up by who asked for the load. */
export const latencies = ['ack', 'delivery', 'connect', 'resume', 'recovery', 'wait', 'http', 'lag'] as const;
/**
 * Milliseconds, each from when it was due. ack: a message to its ack. delivery: to the other side. connect: an arrival
 * to `ready`. resume: a lost connection to `ready` with all that was missed. recovery: the same after everybody was cut.
 * wait: `opened` to the first agent. http: a request. lag: how late the generator itself was.
 */
export type LatencyName = (typeof latencies)[number];

export const countNames = [
  'arrived',
  'said',
  'again',
  'acked',
  'delivered',
  'frames',
  'connected',
  'resumed',
  'dropped',
  'lost',
  'refused',
  'errors',
  'unanswered',
  'gaveUp',
  'skipped',
  'closed',
  'rated',
  'audited',
  'compared',
  'stormed',
  'stormRefused',
  'stormFailed',
] as const;
export type CountName = (typeof countNames)[number];
export type Counts = Record<CountName, number>;

export interface Second {
  readonly counts: Counts;
  readonly latencies: Partial<Record<LatencyName, PackedHistogram>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly breaches: Partial<Record<Breach, number>>;
  /** As they are at the second's end. */
  readonly connections: number;
  readonly customers: number;
}

/** One breach, or one error, to show. */
export interface Example {
  readonly kind: string;
  readonly session: string;
  readonly seq: number;
  readonly what: string;
}

export const examplesMax = 20;
const errorKindsMax = 40;

export function noCounts(): Counts {
  return Object.fromEntries(countNames.map((name) => [name, 0])) as Counts;
}

export class Tally {
  counts: Counts = noCounts();
  readonly examples: Example[] = [];
  #latencies = new Map<LatencyName, Histogram>();
  #errors: Record<string, number> = {};
  #breaches: Partial<Record<Breach, number>> = {};

  time(name: LatencyName, ms: number): void {
    let histogram = this.#latencies.get(name);
    if (histogram === undefined) this.#latencies.set(name, (histogram = new Histogram()));
    histogram.add(ms);
  }

  /** Something that should not be, but that no promise forbids. */
  error(kind: string): void {
    this.counts.errors += 1;
    const isNew = this.#errors[kind] === undefined;
    const name = isNew && Object.keys(this.#errors).length >= errorKindsMax ? 'other' : kind;
    this.#errors[name] = (this.#errors[name] ?? 0) + 1;
  }

  breach(kind: Breach, session: string, seq: number, what: string): void {
    this.#breaches[kind] = (this.#breaches[kind] ?? 0) + 1;
    if (this.examples.length < examplesMax) this.examples.push({ kind, session, seq, what });
  }

  /** What was counted since it was last taken. */
  take(connections: number, customers: number): Second {
    const packed = [...this.#latencies].map(([name, histogram]) => [name, histogram.packed()] as const);
    const second: Second = {
      counts: this.counts,
      latencies: Object.fromEntries(packed),
      errors: this.#errors,
      breaches: this.#breaches,
      connections,
      customers,
    };
    this.counts = noCounts();
    this.#latencies = new Map();
    this.#errors = {};
    this.#breaches = {};
    return second;
  }
}
