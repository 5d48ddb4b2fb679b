import type { Clock } from '../../core/clock.ts';
import type { Observer } from './types.ts';

/** Dead letters are reported together at most this often: a flood of them must not become a flood of reports. */
const reportEveryMs = 1000;

/** Counts the messages that nobody will handle, and tells the observer how many there were, with the first as a sample. */
export class DeadLetters {
  readonly #clock: Clock;
  readonly #observer: Observer;
  total = 0;
  #unreported = 0;
  #sample = { kind: '', key: '', reason: '' };
  #disarm: (() => void) | undefined = undefined;

  constructor(clock: Clock, observer: Observer) {
    this.#clock = clock;
    this.#observer = observer;
  }

  add(kind: string, key: string, reason: string): void {
    this.total += 1;
    this.#unreported += 1;
    if (this.#unreported === 1) this.#sample = { kind, key, reason };
    this.#disarm ??= this.#clock.after(reportEveryMs, () => this.flush());
  }

  /** Reports at once what has not been reported. */
  flush(): void {
    this.#disarm?.();
    this.#disarm = undefined;
    const count = this.#unreported;
    if (count === 0) return;
    this.#unreported = 0;
    this.#observer.deadLetters(count, this.#sample);
  }
}
