import type { Clock } from '../../src/core/clock.ts';
import { realClock } from '../../src/core/real-clock.ts';

interface Timer {
  readonly callback: () => void;
  readonly dueMs: number;
  cancel: () => void;
}

/** The machine's clock, which can be put forward: nobody waits a minute for actors to be idle. */
export class SkippingClock implements Clock {
  #aheadMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return realClock.nowMs() + this.#aheadMs;
  }

  wallMs(): number {
    return realClock.wallMs() + this.#aheadMs;
  }

  soon(callback: () => void): void {
    realClock.soon(callback);
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { callback, dueMs: this.nowMs() + delayMs, cancel: () => undefined };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => {
      this.#timers.delete(timer);
      timer.cancel();
    };
  }

  skip(ms: number): void {
    this.#aheadMs += ms;
    for (const timer of this.#timers) {
      timer.cancel();
      this.#arm(timer);
    }
  }

  #arm(timer: Timer): void {
    timer.cancel = realClock.after(Math.max(0, timer.dueMs - this.nowMs()), () => {
      this.#timers.delete(timer);
      timer.callback();
    });
  }
}
