import { Histogram } from './histogram.ts';
import { figuresOf, type PhaseResult, type Point } from './result.ts';
import type { Phase } from './schedule.ts';
import type { Breach } from './session-check.ts';
import { countNames, latencies, noCounts, type Counts, type LatencyName, type Second } from './tally.ts';

/**
 * Adds up the seconds of all generators: into phases, and into a series of a bounded number of steps, which get twice
 * as long when there would be too many.
 */
const stepsMax = 600;
const errorKindsMax = 100;
/** Whose work after the end of the run belongs to it all the same: what was said before is waited for. */
const neverWarm = ['errors', 'unanswered', 'gaveUp', 'skipped', 'audited', 'compared', 'frames'] as const;

interface Sum {
  readonly counts: Counts;
  readonly latencies: Map<LatencyName, Histogram>;
}

interface Cell {
  readonly counts: Counts;
  readonly ack: Histogram;
  readonly delivery: Histogram;
  samples: number;
  connections: number;
  customers: number;
  memoryBytes: number | null;
}

export class Collector {
  readonly breaches: Partial<Record<Breach, number>> = {};
  readonly errors: Record<string, number> = {};
  stepSeconds = 1;
  readonly #generators: number;
  readonly #phases: readonly Phase[];
  readonly #sums: readonly Sum[];
  #cells: (Cell | undefined)[] = [];
  #seconds: number[];
  #latest: Point | undefined;

  constructor(generators: number, phases: readonly Phase[]) {
    this.#generators = generators;
    this.#phases = phases;
    this.#sums = phases.map(() => newSum());
    this.#seconds = Array.from({ length: generators }, () => 0);
  }

  /** The next second of a generator. */
  add(generator: number, second: Second): void {
    const index = this.#seconds[generator]!;
    this.#seconds[generator] = index + 1;
    for (const [kind, count] of Object.entries(second.breaches))
      this.breaches[kind as Breach] = (this.breaches[kind as Breach] ?? 0) + count;
    for (const [kind, count] of Object.entries(second.errors)) {
      const isKnown = kind in this.errors || Object.keys(this.errors).length < errorKindsMax;
      const name = isKnown ? kind : 'other';
      this.errors[name] = (this.errors[name] ?? 0) + count;
    }
    const sum = this.#sums[this.#phaseAt(index * 1000)] ?? this.#sums[0]!;
    if (this.#phaseAt(index * 1000) >= 0) addSecond(sum, second);
    else for (const name of neverWarm) sum.counts[name] += second.counts[name];
    this.#addToCell(index, second);
  }

  memory(atMs: number, bytes: number): void {
    if (atMs < 0) return;
    const cell = this.#cellOf(Math.floor(atMs / 1000));
    cell.memoryBytes = Math.max(cell.memoryBytes ?? 0, bytes);
  }

  phase(place: number): PhaseResult {
    const { name, fromMs, toMs } = this.#phases[place]!;
    return resultOf(name, (toMs - fromMs) / 1000, this.#sums[place]!);
  }

  get phases(): PhaseResult[] {
    return this.#phases.map((_, place) => this.phase(place));
  }

  /** Of all phases together, so far as they have been. */
  whole(seconds: number): PhaseResult {
    return resultOf('whole', seconds, this.sum());
  }

  sum(): Sum {
    const all = newSum();
    for (const sum of this.#sums) {
      for (const name of countNames) all.counts[name] += sum.counts[name];
      for (const [name, histogram] of sum.latencies) histogramOf(all, name).merge(histogram);
    }
    return all;
  }

  /** Up to the end of the run; later seconds are its settling. */
  series(endMs: number): Point[] {
    const steps = Math.ceil(endMs / 1000 / this.stepSeconds);
    return this.#cells
      .slice(0, steps)
      .flatMap((cell, place) => (cell === undefined || cell.samples === 0 ? [] : [this.#point(cell, place)]));
  }

  /** The last step that all generators have told of. */
  get latest(): Point | undefined {
    return this.#latest;
  }

  #phaseAt(ms: number): number {
    const last = this.#phases.length - 1;
    if (ms >= this.#phases[last]!.toMs) return last;
    return this.#phases.findIndex(({ fromMs, toMs }) => ms >= Math.floor(fromMs) && ms < toMs);
  }

  #addToCell(index: number, second: Second): void {
    const cell = this.#cellOf(index);
    for (const name of countNames) cell.counts[name] += second.counts[name];
    cell.ack.merge(second.latencies.ack ?? []);
    cell.delivery.merge(second.latencies.delivery ?? []);
    cell.samples += 1;
    cell.connections += second.connections;
    cell.customers += second.customers;
    if (cell.samples % this.#generators === 0)
      this.#latest = this.#point(cell, Math.floor(index / this.stepSeconds));
  }

  #cellOf(index: number): Cell {
    while (Math.floor(index / this.stepSeconds) >= stepsMax) this.#coarsen();
    const place = Math.floor(index / this.stepSeconds);
    return (this.#cells[place] ??= newCell());
  }

  #coarsen(): void {
    const coarse: (Cell | undefined)[] = [];
    for (const [place, cell] of this.#cells.entries()) {
      if (cell === undefined) continue;
      const to = (coarse[place >> 1] ??= newCell());
      for (const name of countNames) to.counts[name] += cell.counts[name];
      to.ack.merge(cell.ack);
      to.delivery.merge(cell.delivery);
      to.samples += cell.samples;
      to.connections += cell.connections;
      to.customers += cell.customers;
      if (cell.memoryBytes !== null) to.memoryBytes = Math.max(to.memoryBytes ?? 0, cell.memoryBytes);
    }
    this.#cells = coarse;
    this.stepSeconds *= 2;
  }

  #point(cell: Cell, place: number): Point {
    const seconds = cell.samples / this.#generators;
    const rate = (count: number): number => Math.round((count / seconds) * 10) / 10;
    const { counts, ack, delivery } = cell;
    const of = (histogram: Histogram, share: number): number | null =>
      histogram.count === 0 ? null : histogram.percentile(share);
    return {
      atS: place * this.stepSeconds,
      said: rate(counts.said),
      acked: rate(counts.acked),
      delivered: rate(counts.delivered),
      arrived: rate(counts.arrived),
      refused: rate(counts.refused),
      errors: rate(counts.errors),
      stormed: rate(counts.stormed),
      stormRefused: rate(counts.stormRefused),
      connections: Math.round(cell.connections / seconds),
      customers: Math.round(cell.customers / seconds),
      ackP50: of(ack, 0.5),
      ackP99: of(ack, 0.99),
      ackP999: of(ack, 0.999),
      deliveryP99: of(delivery, 0.99),
      memoryBytes: cell.memoryBytes,
    };
  }
}

function newSum(): Sum {
  return { counts: noCounts(), latencies: new Map() };
}

function newCell(): Cell {
  return {
    counts: noCounts(),
    ack: new Histogram(),
    delivery: new Histogram(),
    samples: 0,
    connections: 0,
    customers: 0,
    memoryBytes: null,
  };
}

function histogramOf(sum: Sum, name: LatencyName): Histogram {
  let histogram = sum.latencies.get(name);
  if (histogram === undefined) sum.latencies.set(name, (histogram = new Histogram()));
  return histogram;
}

function addSecond(sum: Sum, second: Second): void {
  for (const name of countNames) sum.counts[name] += second.counts[name];
  for (const name of latencies) {
    const packed = second.latencies[name];
    if (packed !== undefined) histogramOf(sum, name).merge(packed);
  }
}

function resultOf(name: string, seconds: number, sum: Sum): PhaseResult {
  const rate = (count: number): number => (seconds > 0 ? count / seconds : 0);
  return {
    name,
    seconds,
    counts: { ...sum.counts },
    saidPerSecond: rate(sum.counts.said),
    ackedPerSecond: rate(sum.counts.acked),
    deliveredPerSecond: rate(sum.counts.delivered),
    latencies: Object.fromEntries([...sum.latencies].map(([it, histogram]) => [it, figuresOf(histogram)])),
  };
}
