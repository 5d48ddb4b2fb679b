import { shardCount } from '../core/ids.ts';

/** No thread: the shard is nobody's as far as is known, or on its way. */
export const nobody = -1;

/**
 * Which thread of which node has each shard, under which epoch, and until when this node may act for its own: one
 * picture for all threads of a node, in shared memory, written by the main thread alone. Threads are numbers into a
 * list that main tells the workers of before it uses a number here. What a worker owns itself it knows first hand.
 */
export class ShardMap {
  readonly buffer: SharedArrayBuffer;
  readonly #threads: Int32Array;
  readonly #epochs: Int32Array;
  /** Microseconds of the monotonic clock. */
  readonly #validUntil: BigInt64Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(8 + shardCount * 8);
    this.#validUntil = new BigInt64Array(this.buffer, 0, 1);
    this.#threads = new Int32Array(this.buffer, 8, shardCount);
    this.#epochs = new Int32Array(this.buffer, 8 + shardCount * 4, shardCount);
    if (buffer === undefined) this.#threads.fill(nobody);
  }

  threadOf(shard: number): number {
    return Atomics.load(this.#threads, shard);
  }

  epochOf(shard: number): number {
    return Atomics.load(this.#epochs, shard);
  }

  set(shard: number, thread: number, epoch: number): void {
    Atomics.store(this.#epochs, shard, epoch);
    Atomics.store(this.#threads, shard, thread);
  }

  /** Whether this node's lease holds at `nowMs`, by the monotonic clock that all threads share. */
  isValid(nowMs: number): boolean {
    return Atomics.load(this.#validUntil, 0) > BigInt(Math.ceil(nowMs * 1000));
  }

  /** Infinity: for ever. */
  extend(untilMs: number): void {
    const micros = untilMs === Infinity ? 2n ** 62n : BigInt(Math.floor(untilMs * 1000));
    Atomics.store(this.#validUntil, 0, micros);
  }
}
