import type { Envelope, Router, ThreadId } from '../actors/engine/types.ts';
import type { Clock } from '../core/clock.ts';
import { shardOf } from '../core/ids.ts';
import type { ShardMap } from './shard-map.ts';

/** What a link needs of a port between two threads: a MessagePort, or the simulator's. */
export interface Port {
  postMessage(envelopes: readonly Envelope[]): void;
  close(): void;
}

/** Envelopes on their way over one link; the next one is refused, and its sender answers `busy`. */
export const linkMax = 100_000;

interface Link {
  readonly port: Port;
  /** Envelopes of this turn, posted together at its end: a post costs as much as twenty of them. */
  batch: Envelope[];
  /** Shared with the other side: [sent, handled], which wrap; their difference is what is on its way. */
  readonly counts: Int32Array;
}

export interface MeshOptions {
  readonly self: number;
  /** The thread ids by worker number. */
  readonly threads: readonly ThreadId[];
  readonly shards: ShardMap;
  readonly clock: Clock;
}

/**
 * The mesh of ports between a node's worker threads, and the way to the owner of a key. A key's actor lives where
 * its shard does; `gateway/<thread>` lives on that thread. A wire to other nodes will be one more kind of link.
 */
export class Mesh implements Router {
  readonly #options: MeshOptions;
  readonly #self: ThreadId;
  readonly #links = new Map<ThreadId, Link>();
  readonly #due: Link[] = [];
  refused = 0;

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#self = options.threads[options.self]!;
  }

  ownerOf(kind: string, key: string): ThreadId | undefined {
    if (kind === 'gateway') return key === this.#self ? undefined : key;
    const owner = this.#options.shards.ownerOf(shardOf(key));
    return owner === this.#options.self ? undefined : this.#options.threads[owner];
  }

  send(to: ThreadId, envelope: Envelope): boolean {
    const link = this.#links.get(to);
    if (link === undefined || onTheWay(link) >= linkMax) {
      this.refused += 1;
      return false;
    }
    Atomics.add(link.counts, 0, 1);
    if (link.batch.length === 0) {
      if (this.#due.length === 0) this.#options.clock.soon(() => this.#flush());
      this.#due.push(link);
    }
    link.batch.push(envelope);
    return true;
  }

  connect(thread: ThreadId, port: Port, counts: SharedArrayBuffer): void {
    this.#links.get(thread)?.port.close();
    this.#links.set(thread, { port, batch: [], counts: new Int32Array(counts) });
  }

  disconnect(thread: ThreadId): void {
    this.#links.get(thread)?.port.close();
    this.#links.delete(thread);
  }

  /** Posts what this turn has gathered. */
  #flush(): void {
    for (const link of this.#due.splice(0)) {
      const { batch } = link;
      link.batch = [];
      link.port.postMessage(batch);
    }
  }
}

/** One direction's counts: a link has two buffers, its own for sending and the other side's for receiving. */
function onTheWay(link: Link): number {
  return (Atomics.load(link.counts, 0) - Atomics.load(link.counts, 1)) | 0;
}
