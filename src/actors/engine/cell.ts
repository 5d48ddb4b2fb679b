import { KefuError, toRefusal, type Refusal } from '../../core/errors.ts';
import type { Due } from './deadlines.ts';
import type { Host } from './host.ts';
import { Life, type Home } from './life.ts';
import { Mailbox } from './mailbox.ts';
import { crashed, stopped } from './refusals.ts';
import type { Runnable } from './run-queue.ts';
import { reportCrash, Supervision, typeOf } from './supervision.ts';
import type { ActorKind, Directive, Reply } from './types.ts';

/**
 * empty: no instance, the next turn makes one; loading: `load` is pending; ready: waits for messages; running: a
 * handler is on the stack, or the promise it returned is pending; backoff: crashed, waits for its restart; gone.
 *
 *     empty ──create──▶ loading ──▶ ready ◀──▶ running
 *       ▲                  │ ▲                    │
 *       │            crash ▼ │                    │ crash
 *       │                backoff ◀────────────────┤
 *       └───────── stop, with mail left ──────────┘       stopped, passivated, moved: gone, from any
 */
type Phase = 'empty' | 'loading' | 'ready' | 'running' | 'backoff' | 'gone';

/** One actor's address on this thread: its mailbox, which outlives crashes, and the life that empties it. */
export class Cell implements Home, Runnable, Due {
  dueTick = 0;
  readonly kind: string;
  readonly key: string;
  /** When it last had a message; timers don't count. */
  lastMs: number;
  readonly #host: Host;
  readonly #rules: ActorKind<unknown>;
  readonly #mailbox: Mailbox<Reply>;
  #phase: Phase = 'empty';
  /** Whether it stands in the run queue. */
  #queued = false;
  #sealed = false;
  #life: Life | undefined = undefined;
  #supervision: Supervision | undefined = undefined;
  #cancelBackoff: (() => void) | undefined = undefined;
  /** Tells whoever evicted it that what was in flight has ended. */
  #whenQuiet: (() => void) | undefined = undefined;

  constructor(host: Host, rules: ActorKind<unknown>, key: string) {
    this.#host = host;
    this.#rules = rules;
    this.kind = rules.kind;
    this.key = key;
    this.lastMs = host.system.clock.nowMs();
    this.#mailbox = new Mailbox(rules.mailboxMax);
  }

  get depth(): number {
    return this.#mailbox.size;
  }

  get idleMs(): number {
    return this.#rules.idleMs;
  }

  get gone(): boolean {
    return this.#phase === 'gone';
  }

  /** It takes no messages from refs: gone, or about to move. */
  get closed(): boolean {
    return this.#sealed || this.#phase === 'gone';
  }

  /** Nothing waits and nothing is being handled. */
  get quiet(): boolean {
    const resting = this.#phase === 'ready' || this.#phase === 'empty' || this.#phase === 'gone';
    return resting && !this.#queued && this.#mailbox.size === 0 && (this.#life?.laneSize ?? 0) === 0;
  }

  /** Takes no more messages, and goes on with those that it has. */
  seal(): void {
    this.#sealed = true;
  }

  /** False when the mailbox is full. Not to be called when gone. */
  push(message: unknown, reply: Reply | undefined): boolean {
    if (!this.#mailbox.push(message, reply)) return false;
    this.attend();
    return true;
  }

  /** Hands a system message to the living instance; without one it is dropped. */
  notify(message: unknown): void {
    this.#life?.hand(message, undefined);
  }

  /** Into the run queue, unless it stands there or can't take a message now. */
  attend(): void {
    if (this.#queued || (this.#phase !== 'ready' && this.#phase !== 'empty')) return;
    this.#queued = true;
    this.#host.queue.add(this);
  }

  /** One turn: at most `turnMessages`, the lane first, then to the back of the run queue. */
  run(): void {
    const life = this.#life;
    this.#queued = false;
    if (this.#phase === 'empty') {
      this.#host.queue.spent();
      this.#begin(false);
    } else if (this.#phase === 'ready' && life !== undefined) {
      if (this.#mailbox.size > 0) this.lastMs = this.#host.queue.nowMs;
      this.#phase = 'running';
      if (this.#handle(life)) this.#rest(life);
    }
  }

  /** True when the turn ended between two messages: nothing is pending and nothing crashed. */
  #handle(life: Life): boolean {
    const mailbox = this.#mailbox;
    const queue = this.#host.queue;
    for (let left = this.#host.limits.turnMessages; left > 0 && !life.stopAsked; left -= 1) {
      const lane = life.lane;
      // Not kept in the cell: to write a new object into an old one costs the collector, at each message.
      let message: unknown;
      let reply: Reply | undefined = undefined;
      if (lane !== undefined && lane.size > 0) {
        message = lane.shift();
        if (lane.tag === undefined) this.lastMs = queue.nowMs;
        else if (!life.due(lane.tag)) continue;
      } else if (mailbox.size > 0) {
        message = mailbox.shift();
        reply = mailbox.tag;
      } else {
        return true;
      }
      try {
        const result = life.actor?.receive(message, reply);
        if (result !== undefined && isPromise(result)) {
          queue.spent();
          this.#await(life, result, message, reply);
          return false;
        }
      } catch (error) {
        this.#crash(life, error, typeOf(message), reply);
        return false;
      }
      if (queue.spent() || this.#phase !== 'running') return true;
    }
    return true;
  }

  #await(life: Life, result: Promise<void>, message: unknown, reply: Reply | undefined): void {
    result.then(
      () => {
        this.lastMs = this.#host.system.clock.nowMs();
        this.#rest(life);
      },
      (error: unknown) => this.#crash(life, error, typeOf(message), reply),
    );
  }

  /** After a load, a turn or a pending handler: what next? */
  #rest(life: Life): void {
    if (this.#phase === 'gone') {
      this.#end(life);
      this.#whenQuiet?.();
    } else if (life.stopAsked) {
      this.#stop(life);
    } else {
      this.#phase = 'ready';
      if (this.#mailbox.size > 0 || life.laneSize > 0) this.attend();
    }
  }

  #begin(restarted: boolean): void {
    const life = new Life(this, this.#host.system, restarted);
    this.#life = life;
    this.#phase = 'loading';
    let loading: Promise<void> | undefined;
    try {
      loading = life.start(this.#rules);
    } catch (error) {
      this.#crash(life, error, life.actor === undefined ? '(create)' : '(load)');
      return;
    }
    if (loading === undefined) {
      this.#rest(life);
      return;
    }
    loading.then(
      () => this.#rest(life),
      (error: unknown) => {
        if (error instanceof KefuError && error.code === 'unavailable') this.#unavailable(life, error);
        else this.#crash(life, error, '(load)');
      },
    );
  }

  /** What it loads from can't be reached: nothing is broken, so the senders are told and the next message tries anew. */
  #unavailable(life: Life, error: KefuError): void {
    life.end();
    if (this.#phase === 'gone') this.#whenQuiet?.();
    else this.#leave(toRefusal(error), 'unavailable');
  }

  #stop(life: Life): void {
    this.#end(life);
    if (this.#phase === 'gone') return;
    if (this.#mailbox.size === 0) {
      this.#leave(stopped, 'stopped');
    } else {
      this.#phase = 'empty';
      this.attend();
    }
  }

  /** An orderly end of the instance; a crash has `life.end()` only. */
  #end(life: Life): void {
    life.end();
    this.#life = undefined;
    try {
      life.actor?.stopped?.();
    } catch (error) {
      this.#report(life, error, '(stopped)', 'stop');
    }
  }

  #crash(life: Life, error: unknown, lastMessage: string, reply?: Reply): void {
    this.#life = undefined;
    life.end();
    const directive = this.#phase === 'gone' ? 'stop' : this.#supervise(error);
    // The cell has settled before anything is reported: whoever hears of the crash may already send to it.
    this.#report(life, error, lastMessage, directive);
    reply?.fail(crashed);
    this.#whenQuiet?.();
    if (directive === 'escalate') this.#host.observer.escalated(error);
  }

  #supervise(error: unknown): Directive {
    this.#supervision ??= new Supervision();
    const { system, limits } = this.#host;
    const verdict = this.#supervision.judge(this.#rules, error, system.clock.nowMs(), limits);
    if (verdict.backoffMs === undefined) {
      this.#leave(stopped, 'stopped after a crash');
    } else {
      this.#phase = 'backoff';
      this.#host.restarts += 1;
      this.#cancelBackoff = system.clock.after(verdict.backoffMs, () => this.#restart());
    }
    return verdict.directive;
  }

  #restart(): void {
    this.#cancelBackoff = undefined;
    this.#host.observer.restarted(this.kind, this.key);
    if (this.#phase === 'backoff') this.#begin(true);
  }

  #report(life: Life, error: unknown, lastMessage: string, directive: Directive): void {
    const { kind, key } = this;
    reportCrash(this.#host.observer, { kind, key, error, lastMessage, directive }, life.actor);
  }

  /** Ends the instance if it has been idle for long enough and may. True when the cell is gone. */
  passivate(nowMs: number): boolean {
    const life = this.#life;
    const quiet = this.#phase === 'ready' && !this.#queued && nowMs - this.lastMs >= this.idleMs;
    if (!quiet || life === undefined) return this.gone;
    try {
      if (life.actor?.mayPassivate?.() === false) return false;
    } catch (error) {
      this.#crash(life, error, '(mayPassivate)');
      return this.gone;
    }
    this.#stop(life);
    return this.gone;
  }

  /**
   * Ends it for good, because its key has moved or the thread shuts down: no message is handled after this. A
   * handler that is in flight can't be taken back; the promise settles when it has ended.
   */
  evict(): Promise<void> | undefined {
    const life = this.#life;
    const inFlight = this.#phase === 'running' || this.#phase === 'loading';
    this.#cancelBackoff?.();
    this.#leave();
    if (life === undefined) return undefined;
    if (inFlight) return new Promise((resolve) => (this.#whenQuiet = resolve));
    this.#end(life);
    return undefined;
  }

  /** Out of all maps. With a reason the asks that waited are refused and the tells are dead letters; without, they go after the key. */
  #leave(reason?: Refusal, deadLetter = ''): void {
    this.#phase = 'gone';
    this.#life = undefined;
    this.#host.remove(this.kind, this.key);
    const mailbox = this.#mailbox;
    while (mailbox.size > 0) {
      const message = mailbox.shift();
      if (reason === undefined) this.#host.passOn(this.kind, this.key, message, mailbox.tag);
      else if (mailbox.tag === undefined) this.#host.deadLetter(this.kind, this.key, deadLetter);
      else mailbox.tag.fail(reason);
    }
    mailbox.clear();
  }
}

function isPromise(value: unknown): value is Promise<void> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
