import type { Clock } from '../../src/core/clock.ts';

interface Timer {
  readonly atMs: number;
  /** Breaks ties: timers of one instant run in the order in which they were set. */
  readonly order: number;
  /** Undefined when cancelled. */
  callback: (() => void) | undefined;
}

/**
 * A clock that stands still until it is told to move. `soon` callbacks run before any timer, timers in the order of
 * their time, and all promises settle between two callbacks; so a run depends on nothing but what was put in.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  /** Wall time minus monotonic time; may be set, to let the calendar jump. */
  wallOffsetMs: number;
  #soon: (() => void)[] = [];
  #soonHead = 0;
  /** A binary heap, the earliest timer at its root. */
  readonly #timers: Timer[] = [];
  #order = 0;
  #live = 0;

  constructor(options: { nowMs?: number; wallMs?: number } = {}) {
    this.#nowMs = options.nowMs ?? 1_000_000;
    this.wallOffsetMs = (options.wallMs ?? Date.UTC(2025, 0, 1)) - this.#nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.wallOffsetMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const timer: Timer = { atMs, order: (this.#order += 1), callback };
    this.#push(timer);
    this.#live += 1;
    return () => {
      if (timer.callback === undefined) return;
      timer.callback = undefined;
      this.#live -= 1;
    };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Timers that are set and not cancelled. */
  get timers(): number {
    return this.#live;
  }

  /** When the next timer is due; Infinity without one. */
  get nextTimerMs(): number {
    this.#dropCancelled();
    return this.#timers[0]?.atMs ?? Infinity;
  }

  /** Lets time pass without running anything: what a handler that takes long does. */
  spend(ms: number): void {
    this.#nowMs += ms;
  }

  /** Runs one callback: the oldest `soon` one, or else the first timer due by `untilMs`. False when there is none. */
  step(untilMs = this.#nowMs): boolean {
    const callback = this.#takeSoon() ?? this.#takeTimer(untilMs);
    callback?.();
    return callback !== undefined;
  }

  /** Moves `ms` ahead, running what falls due on the way, and lets all promises settle after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await promisesSettled();
    while (this.step(untilMs)) await promisesSettled();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Runs all that can be run without time passing. */
  async settle(): Promise<void> {
    await this.advance(0);
  }

  #takeSoon(): (() => void) | undefined {
    const callback = this.#soon[this.#soonHead];
    if (callback === undefined) return undefined;
    this.#soonHead += 1;
    // Not shifted one by one, and not kept for ever when each callback asks for the next.
    if (this.#soonHead === this.#soon.length || this.#soonHead === 1024) {
      this.#soon = this.#soon.slice(this.#soonHead);
      this.#soonHead = 0;
    }
    return callback;
  }

  #takeTimer(untilMs: number): (() => void) | undefined {
    if (this.nextTimerMs > untilMs) return undefined;
    const timer = this.#pop();
    if (timer === undefined) return undefined;
    const callback = timer.callback;
    timer.callback = undefined;
    this.#live -= 1;
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    return callback;
  }

  #dropCancelled(): void {
    while (this.#timers[0] !== undefined && this.#timers[0].callback === undefined) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, timer)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): Timer | undefined {
    const heap = this.#timers;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** An immediate runs only when the queue of promise reactions is empty, however long their chains are. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
