import { BoundedQueue } from '../../core/bounded-queue.ts';
import type { Clock } from '../../core/clock.ts';

/** Something that stands in the queue at most once. */
export interface Runnable {
  run(): void;
}

/** Reading the clock costs as much as handling a message: it is read once in so many. */
const messagesPerReading = 16;

/**
 * The cells that have something to do, in order. `soon` is asked for once when the first one comes, not once a
 * message; a turn ends when the queue is empty or `turnMs` have passed, so that the thread sees to its sockets.
 */
export class RunQueue {
  /** The monotonic clock as last read. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #turnMs: number;
  /** Not bounded by a number: a cell stands in it at most once, so it is never longer than there are cells. */
  readonly #cells = new BoundedQueue<Runnable>(Infinity);
  #scheduled = false;
  #untilMs = 0;
  #untilReading = messagesPerReading;
  #over = false;

  constructor(clock: Clock, turnMs: number) {
    this.#clock = clock;
    this.#turnMs = turnMs;
    this.nowMs = clock.nowMs();
  }

  add(cell: Runnable): void {
    this.#cells.push(cell);
    if (!this.#scheduled) this.#schedule();
  }

  /** Counts a handled message; true when the turn is over. */
  spent(): boolean {
    this.#untilReading -= 1;
    if (this.#untilReading > 0) return this.#over;
    this.#untilReading = messagesPerReading;
    this.nowMs = this.#clock.nowMs();
    this.#over = this.nowMs >= this.#untilMs;
    return this.#over;
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#clock.soon(this.#turn);
  }

  readonly #turn = (): void => {
    this.nowMs = this.#clock.nowMs();
    this.#untilMs = this.nowMs + this.#turnMs;
    this.#over = false;
    // `#scheduled` stays true meanwhile: cells that come now are seen by this loop.
    try {
      for (let cell = this.#cells.shift(); cell !== undefined; cell = this.#cells.shift()) {
        cell.run();
        if (this.#over) break;
      }
    } finally {
      this.#scheduled = false;
      if (this.#cells.size > 0) this.#schedule();
    }
  };
}
