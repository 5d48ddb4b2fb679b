import type { Envelope, Router, ThreadId } from '../actors/engine/types.ts';
import type { Clock } from '../core/clock.ts';
import { shardCount, shardOf } from '../core/ids.ts';
import { Pens } from './pens.ts';
import type { Wire } from './ports.ts';
import type { ShardMap } from './shard-map.ts';

/** What a link needs of a port between two threads: a MessagePort, or the simulator's. */
export interface Port {
  postMessage(envelopes: readonly Envelope[]): void;
  close(): void;
}

/** Envelopes on their way over one link; the next one is refused, and its sender answers `busy`. */
export const linkMax = 100_000;

/** A thread of this node: its port, or another node's: the wire. */
interface Link {
  readonly thread: ThreadId;
  readonly port: Port | undefined;
  /** Envelopes of this turn, sent together at its end: a post costs as much as twenty of them. */
  batch: Envelope[];
  /** Shared with the other side: [sent, handled], which wrap; their difference is what is on its way. */
  readonly counts: Int32Array | undefined;
}

/** What this thread does with a shard's messages: passes them on, holds them, or hands them to its actors. */
export type Phase = 'away' | 'opening' | 'open' | 'leaving';

export interface RouterOptions {
  readonly self: ThreadId;
  readonly shards: ShardMap;
  readonly clock: Clock;
  readonly wire: Wire | undefined;
  /** Messages held for shards in motion, a thread. Beyond, they are undeliverable. */
  readonly heldMax: number;
  /** How long one is held. */
  readonly heldMs: number;
  /** To the actors of this thread. */
  readonly deliver: (envelope: Envelope, from: ThreadId) => void;
  /** An ask of this thread that was held has gone to that thread. */
  readonly passedOn: (ask: number, thread: ThreadId) => void;
  /** Nobody could be found for it in time. Asks have been answered `unavailable` already. */
  readonly undeliverable: (envelope: Envelope) => void;
}

/** The thread that stands for "not known now": what is sent to it waits in a pen. */
export const held: ThreadId = '';

const nowhere = {
  code: 'unavailable',
  message: 'whoever has this is not known just now; try again',
  retryAfterMs: 500,
} as const;
const unreached = {
  code: 'unavailable',
  message: 'the node that has this can’t be reached; try again',
  retryAfterMs: 500,
} as const;

/** A message of the router itself: where a shard has gone, for whoever sent to the wrong thread. */
const hintKind = '#where';

interface Hint {
  readonly shard: number;
  readonly epoch: number;
  readonly thread: ThreadId;
}

/**
 * The way from this thread to the owner of a key: its own actors, another thread of this node over a port, another
 * node over the wire; batched, one post a turn. A key's actor lives where its shard does, `gateway/<thread>` on that
 * thread. What is for a shard in motion is held, for a bounded time, and goes on when its place is known.
 */
export class ClusterRouter implements Router {
  readonly #options: RouterOptions;
  readonly #self: ThreadId;
  /** By port to threads of this node, made at need to others. */
  readonly #links = new Map<ThreadId, Link>();
  readonly #due: Link[] = [];
  readonly #phases: Phase[] = new Array<Phase>(shardCount).fill('away');
  /** By the numbers that the shard map uses. */
  #threads: readonly ThreadId[] = [];
  /** What others have told, newer than the shard map. */
  readonly #hints = new Map<number, Hint>();
  readonly #pens: Pens;
  /** Since the start: refused for a full or lost link. */
  refused = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#self = options.self;
    this.#pens = new Pens({
      clock: options.clock,
      max: options.heldMax,
      maxMs: options.heldMs,
      expired: (envelope) => this.#fail(envelope, nowhere),
    });
  }

  /** Messages held now. */
  get held(): number {
    return this.#pens.size;
  }

  ownerOf(kind: string, key: string): ThreadId | undefined {
    if (kind === 'gateway') return key === this.#self ? undefined : key;
    const shard = shardOf(key);
    const phase = this.#phases[shard];
    if (phase === 'open') return undefined;
    if (phase !== 'away') return held;
    const { shards } = this.#options;
    if (this.#hints.size > 0) {
      const hint = this.#hints.get(shard);
      if (hint !== undefined && hint.epoch > shards.epochOf(shard)) return hint.thread;
    }
    const owner = this.#threads[shards.threadOf(shard)];
    // If the map says that it is here, main's word to open it is on its way.
    return owner === undefined || owner === this.#self ? held : owner;
  }

  send(to: ThreadId, envelope: Envelope): boolean {
    if (to === held) return this.#hold(envelope);
    if (to === this.#self) {
      this.#options.deliver(envelope, this.#self);
      return true;
    }
    const link = this.#links.get(to) ?? this.#remote(to);
    if (link === undefined || link.batch.length >= linkMax || onTheWay(link) >= linkMax) {
      this.refused += 1;
      return false;
    }
    if (link.counts !== undefined) Atomics.add(link.counts, 0, 1);
    if (link.batch.length === 0) {
      if (this.#due.length === 0) this.#options.clock.soon(() => this.#flush());
      this.#due.push(link);
    }
    link.batch.push(envelope);
    return true;
  }

  /** Envelopes that have come from another thread, in its order. */
  receive(envelopes: readonly Envelope[], from: ThreadId): void {
    for (const envelope of envelopes) {
      if (envelope.kind === hintKind) this.#learn(envelope.message as Hint);
      else {
        if (envelope.kind !== undefined && envelope.kind !== 'gateway') this.#correct(envelope, from);
        this.#options.deliver(envelope, from);
      }
    }
  }

  connect(thread: ThreadId, port: Port, counts: SharedArrayBuffer): void {
    this.#links.get(thread)?.port?.close();
    this.#links.set(thread, { thread, port, batch: [], counts: new Int32Array(counts) });
  }

  disconnect(thread: ThreadId): void {
    this.#links.get(thread)?.port?.close();
    this.#links.delete(thread);
  }

  /** The threads that the shard map means by its numbers. */
  setThreads(threads: readonly ThreadId[]): void {
    this.#threads = threads;
  }

  phaseOf(shard: number): Phase {
    return this.#phases[shard]!;
  }

  setPhase(shard: number, phase: Phase): void {
    this.#phases[shard] = phase;
    if (phase === 'open' || phase === 'away') this.#release(shard);
  }

  /** The map has changed for these. */
  moved(shards: readonly number[]): void {
    for (const shard of shards) {
      this.#hints.delete(shard);
      this.#release(shard);
    }
  }

  #remote(thread: ThreadId): Link | undefined {
    if (this.#options.wire === undefined) return undefined;
    const link: Link = { thread, port: undefined, batch: [], counts: undefined };
    this.#links.set(thread, link);
    return link;
  }

  /** Sends what this turn has gathered. */
  #flush(): void {
    for (const link of this.#due.splice(0)) {
      const { batch } = link;
      link.batch = [];
      if (link.port !== undefined) link.port.postMessage(batch);
      else {
        // Made at need and let go: another node's threads come and go without anybody to say so.
        this.#links.delete(link.thread);
        if (this.#options.wire!.send(link.thread, batch)) continue;
        this.refused += batch.length;
        for (const envelope of batch) this.#fail(envelope, unreached);
      }
    }
  }

  // ---- shards in motion

  #hold(envelope: Envelope): boolean {
    if (this.#pens.add(shardOf(envelope.key!), envelope)) return true;
    this.#fail(envelope, nowhere);
    return true;
  }

  /** What was held for a shard goes on, or stays if its place is still not known. */
  #release(shard: number): void {
    for (const { envelope, untilMs } of this.#pens.take(shard)) {
      const owner = this.ownerOf(envelope.kind!, envelope.key!);
      if (owner === held) this.#pens.add(shard, envelope, untilMs);
      else if (owner === undefined) this.#options.deliver(envelope, envelope.origin ?? this.#self);
      else this.#passOn(envelope, owner);
    }
  }

  #passOn(envelope: Envelope, owner: ThreadId): void {
    const { ask, origin } = envelope;
    if (ask !== undefined && origin === undefined) this.#options.passedOn(ask, owner);
    const further = { ...envelope, origin: origin ?? this.#self, hops: (envelope.hops ?? 0) + 1 };
    if (!this.send(owner, further)) this.#fail(envelope, unreached);
  }

  /** Nothing has happened of it: who asked is told. */
  #fail(envelope: Envelope, refusal: typeof nowhere | typeof unreached): void {
    const { ask, origin, kind } = envelope;
    if (kind === undefined || kind === hintKind) return;
    if (ask === undefined) return this.#options.undeliverable(envelope);
    this.send(origin ?? this.#self, { answer: ask, refusal });
  }

  // ---- wrong guesses

  /** Tells the sender where the shard is, if it is not here and that is known. */
  #correct(envelope: Envelope, from: ThreadId): void {
    const thread = this.ownerOf(envelope.kind!, envelope.key!);
    if (thread === undefined || thread === held || thread === from) return;
    const shard = shardOf(envelope.key!);
    const epoch = Math.max(this.#options.shards.epochOf(shard), this.#hints.get(shard)?.epoch ?? 0);
    this.send(from, { kind: hintKind, message: { shard, epoch, thread } satisfies Hint });
  }

  #learn(hint: Hint): void {
    const known = Math.max(this.#options.shards.epochOf(hint.shard), this.#hints.get(hint.shard)?.epoch ?? 0);
    if (hint.epoch <= known || hint.thread === this.#self) return;
    this.#hints.set(hint.shard, hint);
    this.#release(hint.shard);
  }
}

/** One direction's counts: a link has two buffers, its own for sending and the other side's for receiving. */
function onTheWay({ counts }: Link): number {
  return counts === undefined ? 0 : (Atomics.load(counts, 0) - Atomics.load(counts, 1)) | 0;
}
