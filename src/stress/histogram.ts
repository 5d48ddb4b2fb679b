/**
 * Latencies in log-linear buckets: 64 to each power of two of microseconds, so a percentile is right to 1.6 %.
 * Adding one is a shift and an increment: it is done for every message by the process that must stay cheap.
 */
export class Histogram {
  readonly #counts = new Float64Array(64 * 28);
  count = 0;

  add(ms: number): void {
    const us = Math.min(Math.max(ms * 1000, 0), 2 ** 31 - 1) | 0;
    const shift = Math.max(0, 25 - Math.clz32(us));
    this.#counts[shift * 64 + (us >>> shift)]! += 1;
    this.count += 1;
  }

  /** In milliseconds: the middle of the bucket. */
  percentile(share: number): number {
    let left = Math.max(1, this.count * share);
    for (let place = 0; place < this.#counts.length; place += 1) {
      left -= this.#counts[place]!;
      if (left > 0) continue;
      const shift = Math.max(0, (place >>> 6) - 1);
      return ((place - shift * 64) * 2 ** shift + (2 ** shift - 1) / 2) / 1000;
    }
    return Number.NaN;
  }
}
