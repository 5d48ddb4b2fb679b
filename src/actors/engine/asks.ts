import type { Clock } from '../../core/clock.ts';
import { KefuError, OutcomeUnknownError, type Refusal } from '../../core/errors.ts';
import type { DeadLetters } from './dead-letters.ts';
import { Deadlines, type Due } from './deadlines.ts';
import { threadGone } from './refusals.ts';
import type { Reply, Router, ThreadId } from './types.ts';

/** Deadlines of asks are this coarse: up to so many milliseconds late, never early. */
const tickMs = 20;
const expireSliceMax = 1024;
/** Room for numbers a millisecond since 1970 keeps them within 2^53 until the year 2248. */
const numbersPerMs = 1024;

/** An ask of this thread that waits for its answer. For a local actor it is the reply itself. */
export class Ask implements Reply, Due {
  dueTick = 0;
  readonly kind: string;
  readonly timeoutMs: number;
  readonly #asks: Asks;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: KefuError) => void;
  #state: 'waiting' | 'expired' | 'answered' = 'waiting';
  /** Where it went and under which number, when the actor is on another thread. */
  thread: ThreadId | undefined = undefined;
  number = 0;

  constructor(
    asks: Asks,
    kind: string,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: KefuError) => void,
  ) {
    this.#asks = asks;
    this.kind = kind;
    this.timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  ok(value: unknown): void {
    if (this.#take()) this.#resolve(value);
  }

  fail(reason: Refusal): void {
    if (this.#take()) this.#reject(KefuError.from(reason));
  }

  expire(): void {
    this.giveUp(`no answer from a ${this.kind} within ${this.timeoutMs} ms`);
  }

  /** Whether the actor acted is not known, and will not be: not an answer, so it must not look like a refusal. */
  giveUp(why: string): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'expired';
    this.#asks.forget(this);
    this.#reject(new OutcomeUnknownError(why));
  }

  /** True the first time, and only before the deadline. */
  #take(): boolean {
    if (this.#state === 'expired') this.#asks.late += 1;
    const first = this.#state === 'waiting';
    this.#state = 'answered';
    if (first) this.#asks.forget(this);
    return first;
  }
}

/** All asks of a thread: their number is bounded, their deadlines share one timer, and the remote ones have numbers. */
export class Asks {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #deadlines: Deadlines<Ask>;
  readonly #remote = new Map<number, Ask>();
  #nextNumber: number;
  /** Asks that wait now. */
  waiting = 0;
  /** Answers that came after their deadline, and were dropped. */
  late = 0;

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#deadlines = new Deadlines<Ask>(clock, tickMs, expireSliceMax, (ask) => ask.expire());
    // Numbers begin at the time of the start, so that an answer meant for this thread's predecessor of the same
    // name can't settle an ask of ours.
    this.#nextNumber = Math.floor(clock.wallMs()) * numbersPerMs;
  }

  get full(): boolean {
    return this.waiting >= this.#max;
  }

  open(
    kind: string,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: KefuError) => void,
  ): Ask {
    const ask = new Ask(this, kind, timeoutMs, resolve, reject);
    this.waiting += 1;
    this.#deadlines.add(ask, this.#clock.nowMs() + timeoutMs);
    return ask;
  }

  /** Gives an ask for another thread its number. */
  numberFor(ask: Ask, thread: ThreadId): number {
    ask.thread = thread;
    ask.number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#remote.set(ask.number, ask);
    return ask.number;
  }

  /** An ask that was held has found its way. */
  passedOn(number: number, thread: ThreadId): void {
    const ask = this.#remote.get(number);
    if (ask !== undefined) ask.thread = thread;
  }

  answer(number: number, value: unknown, reason: Refusal | undefined): void {
    const ask = this.#remote.get(number);
    if (ask === undefined) this.late += 1;
    else if (reason === undefined) ask.ok(value);
    else ask.fail(reason);
  }

  threadLost(thread: ThreadId): void {
    for (const ask of this.#remote.values()) if (ask.thread === thread) ask.giveUp(threadGone);
  }

  /** Called by an ask that has settled. */
  forget(ask: Ask): void {
    this.waiting -= 1;
    this.#deadlines.remove(ask);
    if (ask.thread !== undefined) this.#remote.delete(ask.number);
  }

  close(): void {
    this.#deadlines.forEach((ask) => ask.giveUp('this thread is shutting down'));
    this.#deadlines.close();
  }
}

/** The reply to an ask that came from another thread. */
export class RemoteReply implements Reply {
  readonly #router: Router;
  readonly #deadLetters: DeadLetters;
  readonly #to: ThreadId;
  readonly #number: number;
  #used = false;

  constructor(router: Router, deadLetters: DeadLetters, to: ThreadId, number: number) {
    this.#router = router;
    this.#deadLetters = deadLetters;
    this.#to = to;
    this.#number = number;
  }

  /** With these another thread can answer in this one's place. */
  get address(): { ask: number; origin: ThreadId } {
    return { ask: this.#number, origin: this.#to };
  }

  ok(value: unknown): void {
    if (this.#used) return;
    this.#used = true;
    if (!this.#router.send(this.#to, { answer: this.#number, value })) this.#lost();
  }

  fail(reason: Refusal): void {
    if (this.#used) return;
    this.#used = true;
    if (!this.#router.send(this.#to, { answer: this.#number, refusal: reason })) this.#lost();
  }

  /** The asker will see its deadline pass. */
  #lost(): void {
    this.#deadLetters.add('answer', this.#to, 'link full or gone');
  }
}
