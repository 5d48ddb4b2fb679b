import type { Clock } from '../../core/clock.ts';
import { assert, KefuError, type Refusal } from '../../core/errors.ts';
import { Ask, Asks, RemoteReply } from './asks.ts';
import { Cell } from './cell.ts';
import { DeadLetters } from './dead-letters.ts';
import { Deadlines } from './deadlines.ts';
import { guarded } from './guarded-observer.ts';
import type { Host } from './host.ts';
import { ActorRef, type Post } from './ref.ts';
import { busy, closing, linkDown, moved, notHere, notKnown } from './refusals.ts';
import { RunQueue } from './run-queue.ts';
import type {
  ActorKind,
  Envelope,
  KindName,
  Limits,
  Observer,
  Ref,
  Reply,
  Router,
  System,
  ThreadId,
} from './types.ts';

export interface SystemOptions {
  readonly clock: Clock;
  readonly router: Router;
  readonly observer: Observer;
  readonly limits: Limits;
  /** Each with its own message type, which only its refs know. */
  readonly kinds: readonly ActorKind<unknown>[];
}

export interface SystemStats {
  /** Living actors by kind. */
  readonly actors: Readonly<Record<string, number>>;
  readonly mailboxDepthMax: number;
  readonly mailboxDepthTotal: number;
  /** These three since the start. */
  readonly deadLetters: number;
  readonly restarts: number;
  readonly answersLate: number;
  /** Asks that wait for an answer now. */
  readonly asks: number;
}

/** Idle actors are looked at this coarsely, and so many at most a wake-up. */
const idleTickMs = 100;
const idleSliceMax = 256;
/** A message that was passed on as often has been sent in a circle: its sender is told to try again. */
const hopsMax = 4;

interface Population {
  readonly kind: ActorKind<unknown>;
  readonly cells: Map<string, Cell>;
}

/**
 * All actors of a thread. A message goes from a ref, or from `deliver` when it came from another thread, into its
 * cell's mailbox; the cell stands in the run queue until it has had its turns. Messages from one sender to one actor
 * keep their order, as long as the actor doesn't move. Time comes from the clock that is passed in, and nothing else
 * from outside: the same inputs give the same run.
 */
export class ActorSystem implements System {
  readonly clock: Clock;
  readonly #router: Router;
  readonly #populations = new Map<string, Population>();
  readonly #asks: Asks;
  readonly #deadLetters: DeadLetters;
  readonly #idle: Deadlines<Cell>;
  readonly #host: Host;
  readonly #post: Post;
  /** Evicted actors whose handlers have not ended yet. */
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor(options: SystemOptions) {
    const { clock, limits } = options;
    const observer = guarded(options.observer);
    this.clock = clock;
    this.#router = options.router;
    for (const kind of options.kinds) {
      assert(!this.#populations.has(kind.kind), `the kind ${kind.kind} was given twice`);
      assert(kind.idleMs > 0 && kind.mailboxMax > 0, `the limits of the kind ${kind.kind} must be above 0`);
      this.#populations.set(kind.kind, { kind, cells: new Map() });
    }
    this.#asks = new Asks(clock, limits.asksMax);
    this.#deadLetters = new DeadLetters(clock, observer);
    this.#idle = new Deadlines<Cell>(clock, idleTickMs, idleSliceMax, (cell) => this.#lookAtIdle(cell));
    this.#host = this.#makeHost(limits, observer);
    this.#post = {
      cellFor: (kind, key) => this.#cellFor(kind, key),
      tellFull: (kind, key) => this.#dead(kind, key, 'mailbox full'),
      tellAway: (kind, key, message) => this.#tellAway(kind, key, message),
      ask: (ref, message, timeoutMs, resolve, reject) => this.#ask(ref, message, timeoutMs, resolve, reject),
    };
  }

  ref<M>(name: KindName<M>, key: string): Ref<M> {
    return new ActorRef(this.#post, name.kind, key);
  }

  notify<M>(name: KindName<M>, key: string, message: M): void {
    this.#populations.get(name.kind)?.cells.get(key)?.notify(message);
  }

  /** A message, an ask or an answer from another thread, in the order in which that thread sent them. */
  deliver(envelope: Envelope, from: ThreadId): void {
    if (envelope.answer !== undefined) {
      this.#asks.answer(envelope.answer, envelope.value, envelope.refusal);
      return;
    }
    const { kind = '', key = '', message, ask } = envelope;
    const origin = envelope.origin ?? from;
    const population = this.#populations.get(kind);
    const known = population?.kind.knows?.(message) ?? population !== undefined;
    const cell = known ? this.#cellFor(kind, key) : undefined;
    if (cell === undefined && known && this.#forward(envelope, origin)) return;
    const reply =
      ask === undefined ? undefined : new RemoteReply(this.#router, this.#deadLetters, origin, ask);
    if (!known)
      this.#refuse(kind, key, reply, notKnown, `unknown ${population === undefined ? 'kind' : 'message'}`);
    else if (cell === undefined) this.#refuse(kind, key, reply, notHere, 'not owned here');
    else if (!cell.push(message, reply)) this.#refuse(kind, key, reply, busy, 'mailbox full');
  }

  /** To the owner, if it is known who that is and the message has not gone round too often. */
  #forward(envelope: Envelope, origin: ThreadId): boolean {
    const hops = (envelope.hops ?? 0) + 1;
    if (this.#closed || hops > hopsMax) return false;
    const owner = this.#router.ownerOf(envelope.kind!, envelope.key!);
    if (owner === undefined) return false;
    this.forwarded += 1;
    return this.#router.send(owner, { ...envelope, origin, hops });
  }

  /** Messages that came here and belonged elsewhere, since the start. */
  forwarded = 0;

  /** An ask of this thread that was held goes to this one now: if that is lost, so is the ask. */
  passedOn(ask: number, thread: ThreadId): void {
    this.#asks.passedOn(ask, thread);
  }

  /**
   * These keys are about to move: their actors finish what they have, and what comes goes to the router. Returns what
   * tells whether they have nothing left to do.
   */
  seal(predicate: (kind: string, key: string) => boolean): () => boolean {
    const sealed: Cell[] = [];
    for (const { kind, cells } of this.#populations.values()) {
      for (const [key, cell] of cells) {
        if (!predicate(kind.kind, key)) continue;
        cell.seal();
        sealed.push(cell);
      }
    }
    return () => sealed.every((cell) => cell.quiet);
  }

  /** The keys of this thread's living actors of a kind; a copy. */
  keysOf(kind: string): string[] {
    return [...(this.#populations.get(kind)?.cells.keys() ?? [])];
  }

  /** A thread is gone: what was asked of it will not be answered. */
  threadLost(thread: ThreadId): void {
    this.#asks.threadLost(thread);
  }

  /**
   * Stops the actors whose keys have moved away. None of them handles another message after the call; messages that
   * waited go after their key. The promise settles when the handlers in flight have ended too, however long
   * they take: who can't wait for ever must bound it. Tell the router first, or new messages make new actors.
   */
  stopKeys(predicate: (kind: string, key: string) => boolean): Promise<void> {
    const inFlight: Promise<void>[] = [];
    for (const { kind, cells } of this.#populations.values()) {
      for (const [key, cell] of cells) {
        const ending = predicate(kind.kind, key) ? cell.evict() : undefined;
        if (ending === undefined) continue;
        inFlight.push(ending);
        this.#ending.add(ending);
        void ending.then(() => this.#ending.delete(ending));
      }
    }
    return Promise.all(inFlight).then(() => undefined);
  }

  /** Stops all actors of a kind. */
  stopKind(name: string): Promise<void> {
    return this.stopKeys((kind) => kind === name);
  }

  /** Stops everything; from now on nothing is accepted but answers that running handlers wait for. */
  async shutdown(): Promise<void> {
    this.#closed = true;
    await this.stopKeys(() => true);
    // Also what an earlier `stopKeys` left in flight.
    await Promise.all(this.#ending);
    this.#asks.close();
    this.#idle.close();
    this.#deadLetters.flush();
  }

  /** Looks at every actor: for a scrape of the metrics, not for a message. */
  stats(): SystemStats {
    const actors: Record<string, number> = {};
    let mailboxDepthMax = 0;
    let mailboxDepthTotal = 0;
    for (const { kind, cells } of this.#populations.values()) {
      actors[kind.kind] = cells.size;
      for (const { depth } of cells.values()) {
        mailboxDepthTotal += depth;
        if (depth > mailboxDepthMax) mailboxDepthMax = depth;
      }
    }
    return {
      actors,
      mailboxDepthMax,
      mailboxDepthTotal,
      deadLetters: this.#deadLetters.total,
      restarts: this.#host.restarts,
      answersLate: this.#asks.late,
      asks: this.#asks.waiting,
    };
  }

  #makeHost(limits: Limits, observer: Observer): Host {
    return {
      system: this,
      limits,
      observer,
      queue: new RunQueue(this.clock, limits.turnMs),
      restarts: 0,
      remove: (kind, key) => {
        const cells = this.#populations.get(kind)?.cells;
        const cell = cells?.get(key);
        if (cell !== undefined) this.#idle.remove(cell);
        cells?.delete(key);
      },
      deadLetter: (kind, key, reason) => this.#deadLetters.add(kind, key, reason),
      passOn: (kind, key, message, reply) => this.#passOn(kind, key, message, reply),
    };
  }

  #cellFor(kind: string, key: string): Cell | undefined {
    const population = this.#populations.get(kind);
    const present = population?.cells.get(key);
    if (present !== undefined) return present.closed ? undefined : present;
    if (this.#closed || this.#router.ownerOf(kind, key) !== undefined) return undefined;
    assert(population !== undefined, `no actor of the kind ${kind} is made on this thread`);
    const cell = new Cell(this.#host, population.kind, key);
    population.cells.set(key, cell);
    this.#idle.add(cell, cell.lastMs + cell.idleMs);
    return cell;
  }

  #lookAtIdle(cell: Cell): void {
    const nowMs = this.clock.nowMs();
    if (cell.passivate(nowMs)) return;
    const dueMs = cell.lastMs + cell.idleMs;
    // Kept although it was due: it said that it must stay, or it is busy. Looked at again an idle time later.
    this.#idle.add(cell, dueMs > nowMs ? dueMs : nowMs + cell.idleMs);
  }

  #tellAway(kind: string, key: string, message: unknown): boolean {
    if (this.#closed) return this.#dead(kind, key, 'shut down');
    const owner = this.#router.ownerOf(kind, key);
    if (owner !== undefined && this.#router.send(owner, { kind, key, message })) return true;
    return this.#dead(kind, key, 'link full or gone');
  }

  #ask(
    ref: ActorRef,
    message: unknown,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: KefuError) => void,
  ): void {
    const cell = ref.cell();
    const owner = cell === undefined && !this.#closed ? this.#router.ownerOf(ref.kind, ref.key) : undefined;
    if (this.#closed) return reject(KefuError.from(closing));
    assert(Number.isFinite(timeoutMs), 'an ask needs a deadline');
    if (this.#asks.full) return reject(KefuError.from(busy));
    const ask = this.#asks.open(ref.kind, timeoutMs, resolve, reject);
    if (cell !== undefined) {
      if (!cell.push(message, ask)) ask.fail(busy);
    } else if (owner === undefined) {
      ask.fail(notHere);
    } else {
      const number = this.#asks.numberFor(ask, owner);
      if (!this.#router.send(owner, { kind: ref.kind, key: ref.key, message, ask: number }))
        ask.fail(linkDown);
    }
  }

  #passOn(kind: string, key: string, message: unknown, reply: Reply | undefined): void {
    const owner = this.#closed ? undefined : this.#router.ownerOf(kind, key);
    if (owner === undefined) return this.#refuse(kind, key, reply, moved, 'moved');
    let address = {};
    if (reply instanceof RemoteReply) address = reply.address;
    else if (reply instanceof Ask) address = { ask: this.#asks.numberFor(reply, owner) };
    if (!this.#router.send(owner, { kind, key, message, ...address }))
      this.#refuse(kind, key, reply, linkDown, 'moved, and the link full or gone');
  }

  #refuse(kind: string, key: string, reply: Reply | undefined, reason: Refusal, deadLetter: string): void {
    if (reply === undefined) this.#deadLetters.add(kind, key, deadLetter);
    else reply.fail(reason);
  }

  #dead(kind: string, key: string, reason: string): false {
    this.#deadLetters.add(kind, key, reason);
    return false;
  }
}
