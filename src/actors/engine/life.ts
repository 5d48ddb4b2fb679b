import type { Clock } from '../../core/clock.ts';
import { Mailbox } from './mailbox.ts';
import type { Actor, ActorKind, Context, Ref, System } from './types.ts';

/** A timer of one life. It is the companion of its message in the lane, so that a cancelled one is not delivered. */
export class ActorTimer {
  readonly name: string;
  live = true;
  cancel: () => void = nothing;

  constructor(name: string) {
    this.name = name;
  }
}

function nothing(): void {
  // A timer that has not been handed to the clock yet.
}

/** What a life needs of the cell it lives in. */
export interface Home {
  readonly kind: string;
  readonly key: string;
  /** Something was put into the lane, or a stop was asked for: the cell wants a turn. */
  attend(): void;
}

/**
 * One instance of an actor, from its creation to its stop or crash, and the context it was given. What belongs to
 * the instance ends with it: its timers and its lane. What outlives it (the mailbox) is the cell's. After the end
 * its context does nothing any more, whoever still holds it.
 */
export class Life implements Context<unknown> {
  readonly kind: string;
  readonly key: string;
  readonly clock: Clock;
  readonly system: System;
  readonly restarted: boolean;
  /** Timer and system messages, ahead of the mailbox and outside its bound; undefined until there is one. */
  lane: Mailbox<ActorTimer> | undefined = undefined;
  actor: Actor<unknown> | undefined = undefined;
  ended = false;
  stopAsked = false;
  readonly #home: Home;
  #self: Ref<unknown> | undefined = undefined;
  #timers: Map<string, ActorTimer> | undefined = undefined;

  constructor(home: Home, system: System, restarted: boolean) {
    this.#home = home;
    this.kind = home.kind;
    this.key = home.key;
    this.clock = system.clock;
    this.system = system;
    this.restarted = restarted;
  }

  get self(): Ref<unknown> {
    return (this.#self ??= this.system.ref<unknown>({ kind: this.kind }, this.key));
  }

  /** Makes the actor and begins to load it; undefined when there is nothing to wait for. */
  start(kind: ActorKind<unknown>): Promise<void> | undefined {
    this.actor = kind.create(this);
    return this.actor.load?.();
  }

  startTimer(name: string, delayMs: number, message: unknown): void {
    if (this.ended) return;
    this.cancelTimer(name);
    const timer = new ActorTimer(name);
    this.#timers ??= new Map();
    this.#timers.set(name, timer);
    timer.cancel = this.clock.after(delayMs, () => this.hand(message, timer));
  }

  cancelTimer(name: string): void {
    const timer = this.#timers?.get(name);
    if (timer !== undefined) this.#drop(timer);
  }

  stop(): void {
    if (this.ended) return;
    this.stopAsked = true;
    this.#home.attend();
  }

  /** Puts a message into the lane. */
  hand(message: unknown, timer: ActorTimer | undefined): void {
    if (this.ended) return;
    this.lane ??= new Mailbox<ActorTimer>(Infinity);
    this.lane.push(message, timer);
    this.#home.attend();
  }

  get laneSize(): number {
    return this.lane === undefined ? 0 : this.lane.size;
  }

  /** Whether a message taken from the lane is still to be delivered: its timer may have been cancelled since. */
  due(timer: ActorTimer): boolean {
    if (!timer.live) return false;
    this.#drop(timer);
    return true;
  }

  /** Takes its timers, its lane and the use of its context away. */
  end(): void {
    this.ended = true;
    this.lane = undefined;
    if (this.#timers !== undefined) for (const timer of this.#timers.values()) this.#drop(timer);
  }

  #drop(timer: ActorTimer): void {
    timer.live = false;
    timer.cancel();
    this.#timers?.delete(timer.name);
  }
}
