import type { Clock } from '../../core/clock.ts';
import type { Refusal } from '../../core/errors.ts';

/**
 * The engine's vocabulary. An actor is addressed by kind and key ("session/0192…"), lives on the thread that owns
 * the key's shard, starts with its first message and is passivated when idle. It handles one message at a time,
 * asynchronous handlers included. A `tell` may be lost when a thread dies; an `ask` then fails at its deadline.
 */
export interface Ref<M> {
  readonly kind: string;
  readonly key: string;
  /** False when it was refused at once, because the mailbox or the link is full. */
  tell(message: M): boolean;
  /** The actor's answer; rejects with a KefuError: its refusal, `busy` when full, `unavailable` at the deadline. */
  ask<R>(message: M, timeoutMs: number): Promise<R>;
}

/** Where an answer goes. It may be kept and used after the handler returned; only the first use counts. */
export interface Reply {
  ok(value: unknown): void;
  fail(refusal: Refusal): void;
}

export interface Context<M> {
  readonly kind: string;
  readonly key: string;
  readonly self: Ref<M>;
  readonly clock: Clock;
  readonly system: System;
  /** True when this instance replaces one that crashed: whoever was subscribed has to come again. */
  readonly restarted: boolean;
  /** (Re)starts the timer `name`: after `delayMs` the actor receives `message`, unless it stopped before. */
  startTimer(name: string, delayMs: number, message: M): void;
  cancelTimer(name: string): void;
  /** Ends the actor after the present message; its mailbox goes to a new instance if it holds anything. */
  stop(): void;
}

/** One living actor. A throw or a rejection from any of these is a crash: the supervisor decides. */
export interface Actor<M> {
  /** Runs before the first message; messages are stashed until it settles. */
  load?(): Promise<void>;
  /** `reply` is there when the sender asked. */
  receive(message: M, reply: Reply | undefined): void | Promise<void>;
  /** Asked when the actor has been idle for `idleMs`; false keeps it (it still holds something others rely on). */
  mayPassivate?(): boolean;
  /** Runs once, at passivation, stop or shutdown; not after a crash. */
  stopped?(): void;
  /** A small picture of the state for the crash report; must not hold a message's text or a token. */
  describe?(): unknown;
}

/** restart: a new instance, the mailbox kept, after a back-off; stop: the mailbox becomes dead letters; escalate: the thread's supervisor decides. */
export type Directive = 'restart' | 'stop' | 'escalate';

/** The type and the rules of all actors of one kind. `M` must be structured-cloneable. */
export interface ActorKind<M> {
  readonly kind: string;
  knows?(message: M): boolean;
  /** Messages waiting an actor; the next one is refused (tell: false and a dead letter; ask: `busy`). */
  readonly mailboxMax: number;
  /** Idle for this long, it is passivated. */
  readonly idleMs: number;
  create(context: Context<M>): Actor<M>;
  supervise?(error: unknown): Directive;
}

/** A kind's name and message type, to address actors without knowing how they are made. */
export interface KindName<M> {
  readonly kind: string;
  /** False: a message from another thread is none that this version knows. Absent: all are. */
  knows?(message: M): boolean;
}

/** A thread of a node: "node/worker"; opaque to the engine. */
export type ThreadId = string;

/** What travels between threads and nodes. Kept flat: it is copied for each message. */
export interface Envelope {
  /** Kind and key of the receiver; absent in an answer. */
  readonly kind?: string;
  readonly key?: string;
  readonly message?: unknown;
  /** Set when the sender asked; the answer bears the same number back. */
  readonly ask?: number;
  /** The answer to the ask of that number. */
  readonly answer?: number;
  readonly value?: unknown;
  readonly refusal?: Refusal;
  /** Set when it was passed on: the thread that asked, to which the answer goes. */
  readonly origin?: ThreadId;
  /** How often it was passed on. */
  readonly hops?: number;
}

/** Who owns a key, and how to reach another thread: declared here, adapted by src/cluster. */
export interface Router {
  /** undefined: this thread. May be a thread that stands for "not known now": what is sent to it is held until it is. */
  ownerOf(kind: string, key: string): ThreadId | undefined;
  /** False when the link is full or the thread gone. Batched by the adapter: one post a turn. */
  send(to: ThreadId, envelope: Envelope): boolean;
}

export interface System {
  readonly clock: Clock;
  ref<M>(name: KindName<M>, key: string): Ref<M>;
  /** Hands a system message to a local living actor ahead of its mailbox and outside its bound (commit notices). */
  notify<M>(name: KindName<M>, key: string, message: M): void;
}

/** What the engine tells whoever runs it. */
export interface Observer {
  deadLetters(count: number, sample: { kind: string; key: string; reason: string }): void;
  crashed(report: {
    kind: string;
    key: string;
    error: unknown;
    /** Type of the last message only (its `type` field), never its text. */
    lastMessage: string;
    state: unknown;
    directive: Directive;
  }): void;
  /** A new instance after a crash is about to load: subscribers must come again. */
  restarted(kind: string, key: string): void;
  escalated(error: unknown): void;
}

export interface Limits {
  /** Messages one actor handles before the next one has its turn. Default 64. */
  readonly turnMessages: number;
  /** Milliseconds of handling before the thread looks at its sockets again. Default 5. */
  readonly turnMs: number;
  /** Restarts of one actor within `restartWindowMs`; one more stops it. Defaults 5 in 30 s. */
  readonly restartsMax: number;
  readonly restartWindowMs: number;
  readonly restartBackoffMinMs: number;
  readonly restartBackoffMaxMs: number;
  /** Asks waiting for an answer, a thread; the next one fails with `busy`. Default 100,000. */
  readonly asksMax: number;
}
