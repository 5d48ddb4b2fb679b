import type { Clock } from '../../core/clock.ts';

/** Something with a deadline; `dueTick` belongs to the `Deadlines` that holds it. */
export interface Due {
  dueTick: number;
}

/**
 * Many deadlines on one timer of the clock. Deadlines are rounded up to a tick and kept in a bucket a tick; the
 * timer is set for the earliest bucket, and buckets that emptied meanwhile (most asks are answered long before) are
 * skipped when the next one is chosen, so a busy system wakes up once a deadline's length, not once a tick.
 * At most `sliceMax` items are handled a wake-up: a hundred thousand that fall due together don't stop the thread.
 */
export class Deadlines<T extends Due> {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #sliceMax: number;
  readonly #onDue: (item: T) => void;
  readonly #buckets = new Map<number, Set<T>>();
  #armedTick = Infinity;
  #disarm: (() => void) | undefined = undefined;

  constructor(clock: Clock, tickMs: number, sliceMax: number, onDue: (item: T) => void) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#sliceMax = sliceMax;
    this.#onDue = onDue;
  }

  /** `item` falls due at `deadlineMs` of the monotonic clock or up to a tick later, never before. */
  add(item: T, deadlineMs: number): void {
    const tick = Math.ceil(deadlineMs / this.#tickMs);
    item.dueTick = tick;
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = new Set();
      this.#buckets.set(tick, bucket);
      if (tick < this.#armedTick) this.#arm(tick);
    }
    bucket.add(item);
  }

  remove(item: T): void {
    this.#buckets.get(item.dueTick)?.delete(item);
  }

  /** Everything that has not fallen due; `visit` may remove what it is given. */
  forEach(visit: (item: T) => void): void {
    for (const bucket of this.#buckets.values()) for (const item of bucket) visit(item);
  }

  close(): void {
    this.#disarm?.();
    this.#disarm = undefined;
    this.#armedTick = Infinity;
    this.#buckets.clear();
  }

  #arm(tick: number): void {
    this.#disarm?.();
    this.#armedTick = tick;
    const delayMs = Math.max(0, tick * this.#tickMs - this.#clock.nowMs());
    this.#disarm = this.#clock.after(delayMs, this.#wake);
  }

  readonly #wake = (): void => {
    this.#disarm = undefined;
    // While items are handled, what they add must not arm: the end of this function does, once.
    this.#armedTick = -Infinity;
    try {
      this.#runDue(Math.floor(this.#clock.nowMs() / this.#tickMs));
    } finally {
      this.#armEarliest();
    }
  };

  #armEarliest(): void {
    this.#armedTick = Infinity;
    let earliest = Infinity;
    for (const [tick, bucket] of this.#buckets) {
      if (bucket.size === 0) this.#buckets.delete(tick);
      else if (tick < earliest) earliest = tick;
    }
    if (earliest !== Infinity) this.#arm(earliest);
  }

  #runDue(nowTick: number): void {
    let left = this.#sliceMax;
    const due = [...this.#buckets.keys()].filter((tick) => tick <= nowTick).sort((a, b) => a - b);
    for (const tick of due) {
      const bucket = this.#buckets.get(tick);
      if (bucket === undefined) continue;
      for (const item of bucket) {
        if (left === 0) return;
        left -= 1;
        bucket.delete(item);
        this.#onDue(item);
      }
    }
  }
}
