import { shardCount } from '../core/ids.ts';

/**
 * Which worker thread owns each shard, and under which epoch: one picture for all threads of a node, in shared
 * memory, written by the main thread alone. Epochs change only before a new owner starts.
 */
export class ShardMap {
  readonly buffer: SharedArrayBuffer;
  readonly #owners: Int32Array;
  readonly #epochs: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(shardCount * 8)) {
    this.buffer = buffer;
    this.#owners = new Int32Array(buffer, 0, shardCount);
    this.#epochs = new Int32Array(buffer, shardCount * 4, shardCount);
  }

  ownerOf(shard: number): number {
    return this.#owners[shard]!;
  }

  epochOf(shard: number): number {
    return Atomics.load(this.#epochs, shard);
  }

  shardsOf(worker: number): number[] {
    const shards: number[] = [];
    for (let shard = 0; shard < shardCount; shard += 1)
      if (this.#owners[shard] === worker) shards.push(shard);
    return shards;
  }

  /** Spreads all shards evenly. */
  spread(workers: number): void {
    for (let shard = 0; shard < shardCount; shard += 1) Atomics.store(this.#owners, shard, shard % workers);
  }

  setEpochs(epochs: ReadonlyMap<number, number>): void {
    for (const [shard, epoch] of epochs) Atomics.store(this.#epochs, shard, epoch);
  }
}
