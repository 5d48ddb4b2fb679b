import { assert } from '../core/errors.ts';
import { hash32 } from '../core/ids.ts';
import { aheadOf, intervalOf } from './token-bucket.ts';

/**
 * The limits that hold for a node, not for a thread: the kernel spreads one address's connections over all worker
 * threads. They live in one SharedArrayBuffer that the main thread makes and hands to the workers:
 *
 *     seed | threads | total | counts[slot] | counts of thread 0 [slot] … | connects[slot] | requests[slot]
 *
 * A key's slot is its hash mod 65,536: keys that fall together share a count and a rate, which with 18,000 addresses
 * is every fourth, and matters to none that is far from its limit. The hash has a random seed, so that nobody can
 * choose whom to fall together with. Rates are buckets as in token-bucket.ts, in microseconds of the monotonic clock
 * as 64 bits: good for 290,000 years, where 32 bits would have to wrap.
 */

const slots = 2 ** 16;
const headerInts = 4;
const [seedAt, threadsAt, totalAt] = [0, 1, 2];

/** All 0 = no limit. Rates are a second; their burst is twice the rate. */
export interface NodeLimits {
  readonly connections: number;
  readonly connectionsPerIp: number;
  readonly connectsPerSecondPerIp: number;
  readonly requestsPerSecondPerIp: number;
}

/** 768 KiB + 256 KiB and a further 256 KiB a thread. `seed` is any random 32 bits. */
export function createSharedLimits(threads: number, seed: number): SharedArrayBuffer {
  assert(threads > 0, 'limits are shared by one thread at least');
  const buffer = new SharedArrayBuffer(intsBytes(threads) + 2 * slots * 8);
  const ints = new Int32Array(buffer, 0, headerInts);
  ints[seedAt] = seed;
  ints[threadsAt] = threads;
  return buffer;
}

function intsBytes(threads: number): number {
  return (headerInts + (threads + 1) * slots) * 4;
}

export type Admission = 'admitted' | 'node_full' | 'ip_full';

export class SharedLimits {
  readonly #limits: NodeLimits;
  readonly #ints: Int32Array;
  /** Where this thread's own counts begin: what has to be given back if it dies. */
  readonly #ownAt: number;
  readonly #seed: number;
  readonly #connects: RateTable;
  readonly #requests: RateTable;

  constructor(buffer: SharedArrayBuffer, thread: number, limits: NodeLimits) {
    const threads = new Int32Array(buffer, 0, headerInts)[threadsAt]!;
    assert(
      thread >= 0 && thread < threads,
      `thread ${thread} is not one of the ${threads} that share the limits`,
    );
    this.#limits = limits;
    this.#ints = new Int32Array(buffer, 0, intsBytes(threads) / 4);
    this.#ownAt = ownAt(thread);
    this.#seed = this.#ints[seedAt]! >>> 0;
    this.#connects = new RateTable(buffer, intsBytes(threads), limits.connectsPerSecondPerIp);
    this.#requests = new RateTable(buffer, intsBytes(threads) + slots * 8, limits.requestsPerSecondPerIp);
  }

  /** Connections of all threads. */
  get connections(): number {
    return Atomics.load(this.#ints, totalAt);
  }

  /** Counts a connection in, on all counts or none; one that was admitted must be `left` once. */
  enter(key: string): Admission {
    const slot = this.#slotOf(key);
    if (!this.#addBelow(headerInts + slot, this.#limits.connectionsPerIp)) return 'ip_full';
    if (!this.#addBelow(totalAt, this.#limits.connections)) {
      Atomics.sub(this.#ints, headerInts + slot, 1);
      return 'node_full';
    }
    Atomics.add(this.#ints, this.#ownAt + slot, 1);
    return 'admitted';
  }

  leave(key: string): void {
    const slot = this.#slotOf(key);
    const before = Atomics.sub(this.#ints, this.#ownAt + slot, 1);
    assert(before > 0, 'a connection left that had not entered');
    Atomics.sub(this.#ints, headerInts + slot, 1);
    Atomics.sub(this.#ints, totalAt, 1);
  }

  /** 0, or in how many milliseconds this address may connect again. `nowMs` is the monotonic clock's. */
  takeConnect(key: string, nowMs: number): number {
    return this.#connects.take(this.#slotOf(key), nowMs);
  }

  /** 0, or in how many milliseconds this address may ask again. */
  takeRequest(key: string, nowMs: number): number {
    return this.#requests.take(this.#slotOf(key), nowMs);
  }

  #slotOf(key: string): number {
    return hash32(key, this.#seed) % slots;
  }

  /** Compare-and-set, not add and undo: an attempt that fails must not make another one's fail beside it. */
  #addBelow(index: number, limit: number): boolean {
    for (;;) {
      const before = Atomics.load(this.#ints, index);
      if (limit > 0 && before >= limit) return false;
      if (Atomics.compareExchange(this.#ints, index, before, before + 1) === before) return true;
    }
  }
}

/** Gives back what a worker thread still held when it died; for the main thread, before another takes its number. */
export function releaseThread(buffer: SharedArrayBuffer, thread: number): void {
  const threads = new Int32Array(buffer, 0, headerInts)[threadsAt]!;
  const ints = new Int32Array(buffer, 0, intsBytes(threads) / 4);
  for (let slot = 0; slot < slots; slot += 1) {
    const held = Atomics.exchange(ints, ownAt(thread) + slot, 0);
    if (held === 0) continue;
    Atomics.sub(ints, headerInts + slot, held);
    Atomics.sub(ints, totalAt, held);
  }
}

function ownAt(thread: number): number {
  return headerInts + (thread + 1) * slots;
}

/** One rate's buckets: slot → when it is full again, in microseconds. */
class RateTable {
  readonly #fullAt: BigInt64Array;
  readonly #interval: bigint;
  readonly #aheadMax: bigint;

  constructor(buffer: SharedArrayBuffer, byteOffset: number, ratePerSecond: number) {
    this.#fullAt = new BigInt64Array(buffer, byteOffset, slots);
    this.#interval = micros(intervalOf(ratePerSecond));
    this.#aheadMax = ratePerSecond > 0 ? micros(aheadOf(ratePerSecond, ratePerSecond * 2)) : 0n;
  }

  take(slot: number, nowMs: number): number {
    if (this.#interval === 0n) return 0;
    const now = micros(nowMs);
    for (;;) {
      const before = Atomics.load(this.#fullAt, slot);
      const from = before > now ? before : now;
      const over = from - now - this.#aheadMax;
      if (over > 0n) return Math.max(1, Math.ceil(Number(over) / 1000));
      if (Atomics.compareExchange(this.#fullAt, slot, before, from + this.#interval) === before) return 0;
    }
  }
}

function micros(ms: number): bigint {
  return BigInt(Math.round(ms * 1000));
}
