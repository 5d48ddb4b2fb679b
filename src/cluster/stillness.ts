import type { Clock } from '../core/clock.ts';

/** For how long this process stood still: between two looks, by either clock. */
export class Stillness {
  readonly #clock: Clock;
  #lastMs: number;
  #lastWallMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.nowMs();
    this.#lastWallMs = clock.wallMs();
  }

  /** Milliseconds since the last look; a jump of the calendar counts too. */
  sinceLast(): number {
    const now = this.#clock.nowMs();
    const wall = this.#clock.wallMs();
    const gapMs = now - this.#lastMs;
    // A machine that was suspended may have stopped its monotonic clock with it.
    const jumpMs = Math.abs(wall - this.#lastWallMs - gapMs);
    this.#lastMs = now;
    this.#lastWallMs = wall;
    return Math.max(gapMs, jumpMs);
  }
}
