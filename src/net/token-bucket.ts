/**
 * Token buckets by the generic cell rate algorithm: instead of a count that must be refilled, a bucket is one
 * number, the time at which it will be full again ("theoretical arrival time"). A take moves it on by the interval
 * of one token and is refused when that would lead further ahead than the burst allows.
 */

/** One bucket, for the messages of a connection. `ratePerSecond` 0 = no limit. Nothing is allocated by a take. */
export class TokenBucket {
  readonly #intervalMs: number;
  readonly #aheadMsMax: number;
  #fullAtMs = Number.NEGATIVE_INFINITY;

  constructor(ratePerSecond: number, burst: number = ratePerSecond * 2) {
    this.#intervalMs = intervalOf(ratePerSecond);
    this.#aheadMsMax = aheadOf(ratePerSecond, burst);
  }

  /** 0 when a token was there, else in how many milliseconds one will be; a refusal takes none. */
  take(nowMs: number): number {
    const ahead = this.#fullAtMs - nowMs;
    if (ahead > this.#aheadMsMax) return retryAfter(ahead - this.#aheadMsMax);
    this.#fullAtMs = (ahead > 0 ? this.#fullAtMs : nowMs) + this.#intervalMs;
    return 0;
  }
}

/**
 * Buckets by key. At most `keysMax` are kept: full ones are dropped first, as they stand for nothing, and then the
 * one that was used longest ago, which is the most nearly full.
 */
export class TokenBuckets {
  readonly #intervalMs: number;
  readonly #aheadMsMax: number;
  readonly #keysMax: number;
  /** Key → when it is full again, in the order of last use. */
  readonly #fullAtMs = new Map<string, number>();

  constructor(ratePerSecond: number, burst: number = ratePerSecond * 2, keysMax = 100_000) {
    this.#intervalMs = intervalOf(ratePerSecond);
    this.#aheadMsMax = aheadOf(ratePerSecond, burst);
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#fullAtMs.size;
  }

  take(key: string, nowMs: number): number {
    if (this.#intervalMs === 0) return 0;
    const before = this.#fullAtMs.get(key);
    const fullAtMs = before === undefined || before < nowMs ? nowMs : before;
    if (fullAtMs - nowMs > this.#aheadMsMax) return retryAfter(fullAtMs - nowMs - this.#aheadMsMax);
    if (before !== undefined) this.#fullAtMs.delete(key);
    this.#fullAtMs.set(key, fullAtMs + this.#intervalMs);
    this.#dropOldest(nowMs);
    return 0;
  }

  /** Two looked at for one added: so the map shrinks by itself after a storm, and a take stays cheap. */
  #dropOldest(nowMs: number): void {
    let looks = 2;
    for (const [key, fullAtMs] of this.#fullAtMs) {
      if (looks === 0 || (fullAtMs > nowMs && this.#fullAtMs.size <= this.#keysMax)) return;
      this.#fullAtMs.delete(key);
      looks -= 1;
    }
  }
}

/** The time that one token takes; 0 where there is no limit. */
export function intervalOf(ratePerSecond: number): number {
  return ratePerSecond > 0 ? 1000 / ratePerSecond : 0;
}

/** How far a bucket may be ahead of now before a take: with one token taken, `burst` in all. */
export function aheadOf(ratePerSecond: number, burst: number): number {
  return ratePerSecond > 0 ? (Math.max(burst, 1) - 1) * intervalOf(ratePerSecond) : Number.POSITIVE_INFINITY;
}

/** Whole milliseconds, never 0: that would mean "taken". A rounding error of a millionth counts as none. */
function retryAfter(ms: number): number {
  return Math.max(1, Math.ceil(ms - 1e-6));
}
