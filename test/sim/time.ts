import type { Clock } from '../../src/core/clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Node's own way to run what is queued as microtasks; from a macrotask it returns when none is left. */
const settlePromises = (process as unknown as { _tickCallback: () => void })._tickCallback;

/** Runs a whole simulation at once: only there can promises be settled without waiting (100 ns instead of 1 µs a step). */
export function simulated<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

/** The one real time of a simulation; machines have clocks that differ from it. */
export class SimTime {
  readonly #clock = new VirtualClock();
  readonly #startMs = this.#clock.nowMs();
  steps = 0;

  /** Milliseconds since the start. */
  get sinceMs(): number {
    return this.#clock.nowMs() - this.#startMs;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#clock.after(delayMs, callback);
  }

  soon(callback: () => void): void {
    this.#clock.soon(callback);
  }

  /** Runs everything that falls due within `ms`. */
  run(ms: number): void {
    const untilMs = this.#clock.nowMs() + ms;
    settlePromises();
    while (this.#clock.step(untilMs)) {
      this.steps += 1;
      settlePromises();
    }
    this.#clock.spend(Math.max(0, untilMs - this.#clock.nowMs()));
  }
}

/** A process and its clocks: it may sleep, or a thread of it may hang; then nothing of it runs, but time goes on. */
export class Machine {
  readonly time: SimTime;
  /** Its monotonic clock minus the real one; falls when the machine was suspended and its clock with it. */
  monoOffsetMs = 0;
  wallOffsetMs: number;
  alive = true;
  #asleepSinceMs: number | undefined;
  readonly #clocks: ThreadClock[] = [];

  constructor(time: SimTime, wallOffsetMs: number) {
    this.time = time;
    this.wallOffsetMs = wallOffsetMs;
  }

  get asleep(): boolean {
    return this.#asleepSinceMs !== undefined;
  }

  thread(): ThreadClock {
    const clock = new ThreadClock(this);
    this.#clocks.push(clock);
    return clock;
  }

  sleep(): void {
    this.#asleepSinceMs ??= this.time.nowMs();
  }

  /** `suspended`: its monotonic clock stood still meanwhile, as that of a virtual machine may. */
  wake(suspended: boolean): void {
    if (this.#asleepSinceMs === undefined) return;
    if (suspended) this.monoOffsetMs -= this.time.nowMs() - this.#asleepSinceMs;
    this.#asleepSinceMs = undefined;
    for (const clock of this.#clocks) clock.goOn();
  }

  crash(): void {
    this.alive = false;
    for (const clock of this.#clocks) clock.end();
  }
}

/** The clock of one thread, and its turn: what is to run while it stands still runs when it goes on. */
export class ThreadClock implements Clock {
  readonly #machine: Machine;
  #hangs = false;
  #ended = false;
  #waiting: (() => void)[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  nowMs(): number {
    return this.#machine.time.nowMs() + this.#machine.monoOffsetMs;
  }

  wallMs(): number {
    return Math.floor(this.#machine.time.wallMs() + this.#machine.wallOffsetMs);
  }

  after(delayMs: number, callback: () => void): () => void {
    const dueMs = this.nowMs() + Math.max(0, delayMs);
    let live = true;
    let cancel: () => void = () => undefined;
    const wait = (ms: number): void => {
      cancel = this.#machine.time.after(ms, () =>
        this.run(() => {
          if (!live) return;
          // Its clock stood still meanwhile.
          const leftMs = dueMs - this.nowMs();
          if (leftMs > 0.001) return wait(leftMs);
          live = false;
          callback();
        }),
      );
    };
    wait(delayMs);
    return () => {
      live = false;
      cancel();
    };
  }

  soon(callback: () => void): void {
    this.#machine.time.soon(() => this.run(callback));
  }

  /** Runs it now, when this thread goes on, or never. */
  run(callback: () => void): void {
    if (this.#ended) return;
    if (this.#hangs || this.#machine.asleep) this.#waiting.push(callback);
    else callback();
  }

  get ended(): boolean {
    return this.#ended;
  }

  hang(): void {
    this.#hangs = true;
  }

  unhang(): void {
    this.#hangs = false;
    this.goOn();
  }

  goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#machine.time.soon(() => this.run(callback));
  }

  end(): void {
    this.#ended = true;
    this.#waiting = [];
  }
}
