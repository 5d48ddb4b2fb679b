/** Latencies in 1 % wide logarithmic buckets from 1 µs to 100 s: a percentile is right to 1 %. */
export class Histogram {
  readonly #counts = new Float64Array(1900);
  count = 0;

  add(ms: number): void {
    const place = Math.max(0, Math.min(1899, Math.floor(Math.log(Math.max(ms, 0.001) * 1000) / Math.log(1.01))));
    this.#counts[place]! += 1;
    this.count += 1;
  }

  percentile(share: number): number {
    let left = this.count * share;
    for (let place = 0; place < this.#counts.length; place += 1) {
      left -= this.#counts[place]!;
      if (left <= 0) return 1.01 ** (place + 0.5) / 1000;
    }
    return Number.NaN;
  }
}
