import { shardCount } from '../core/ids.ts';
import type { ThreadId } from '../actors/engine/types.ts';
import type { Beat, ProcessId } from './ports.ts';
import { nobody, type ShardMap } from './shard-map.ts';
import type { ClusterStatus, ShardPhase } from '../protocol/cluster-status.ts';

interface Place {
  /** undefined: nobody has it, as far as is known. */
  process: ProcessId | undefined;
  worker: number;
  /** The newest that was heard of, whoever has it now; what is older is not believed. */
  epoch: number;
}

/** Where each shard is, as far as this node has heard, and the same in the shard map for its threads. */
export class Whereabouts {
  readonly #shards: ShardMap;
  readonly #tellThreads: (all: readonly ThreadId[]) => void;
  readonly #places: Place[] = Array.from({ length: shardCount }, () => ({
    process: undefined,
    worker: 0,
    epoch: 0,
  }));
  readonly #threads: ThreadId[] = [];
  readonly #numbers = new Map<ThreadId, number>();

  constructor(shards: ShardMap, tellThreads: (all: readonly ThreadId[]) => void) {
    this.#shards = shards;
    this.#tellThreads = tellThreads;
  }

  place(shard: number): Readonly<Place> {
    return this.#places[shard]!;
  }

  status(phaseOf: (shard: number) => ShardPhase | undefined): ClusterStatus['shards'] {
    return this.#places.map(({ process, worker, epoch }, shard) => ({
      shard,
      epoch,
      process: process ?? null,
      worker: process === undefined ? null : worker,
      phase: phaseOf(shard) ?? (process === undefined ? 'nobody' : 'elsewhere'),
    }));
  }

  /** All shards of a process. */
  of(process: ProcessId): number[] {
    const shards: number[] = [];
    for (const [shard, place] of this.#places.entries()) if (place.process === process) shards.push(shard);
    return shards;
  }

  /** The shards that nobody has, as far as is known, with the newest epoch that was heard of. */
  get nobodys(): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (const [shard, place] of this.#places.entries())
      if (place.process === undefined) found.set(shard, place.epoch);
    return found;
  }

  /**
   * The database knows `stored` as a shard's newest epoch, when `heard` was heard of and nobody had it: a claim that
   * never came there binds nobody, and must not hide an older owner, who is the true one.
   */
  believe(shard: number, heard: number, stored: number): void {
    const place = this.#places[shard]!;
    if (place.process === undefined && place.epoch === heard && stored < heard) place.epoch = stored;
  }

  /** True when that is news. */
  set(shard: number, process: ProcessId, worker: number, epoch: number): boolean {
    const place = this.#places[shard]!;
    if (place.process === process && place.worker === worker && place.epoch === epoch) return false;
    Object.assign(place, { process, worker, epoch });
    this.#shards.set(shard, this.#numberOf(`${process}/${worker}`), epoch);
    return true;
  }

  /** Nobody has it any more. */
  clear(shard: number, epoch: number): void {
    const place = this.#places[shard]!;
    place.process = undefined;
    place.epoch = Math.max(place.epoch, epoch);
    this.#shards.set(shard, nobody, place.epoch);
  }

  #numberOf(thread: ThreadId): number {
    const known = this.#numbers.get(thread);
    if (known !== undefined) return known;
    const number = this.#threads.length;
    this.#threads.push(thread);
    this.#numbers.set(thread, number);
    // Before the number stands in the map.
    this.#tellThreads([...this.#threads]);
    return number;
  }
}

/** What a beat has told. */
export interface News {
  /** Shards that are elsewhere now, or under another epoch. */
  readonly changed: readonly number[];
  /** Ours until now: somebody has a newer epoch. */
  readonly overtaken: readonly number[];
  /** Shards that their owner had and has no more: nobody's. */
  readonly given: readonly number[];
}

/** Writes down what a beat says of shards. `mine` is the epoch of one that is ours. */
export function learn(
  { process, owned }: Beat,
  where: Whereabouts,
  mine: (shard: number) => number | undefined,
): News {
  const listed = new Set<number>();
  const changed: number[] = [];
  const overtaken: number[] = [];
  for (let at = 0; at + 2 < owned.length; at += 3) {
    const [shard, epoch, worker] = [owned[at]!, owned[at + 1]!, owned[at + 2]!];
    listed.add(shard);
    const ours = mine(shard);
    if (epoch < where.place(shard).epoch || (ours !== undefined && ours >= epoch)) continue;
    if (ours !== undefined) overtaken.push(shard);
    if (where.set(shard, process, worker, epoch)) changed.push(shard);
  }
  const given = where.of(process).filter((shard) => !listed.has(shard));
  for (const shard of given) where.clear(shard, where.place(shard).epoch);
  return { changed, overtaken, given };
}
