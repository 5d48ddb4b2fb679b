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

  /** Adds those of another one, as it is or as `packed` made it. */
  merge(other: Histogram | PackedHistogram): void {
    const packed = other instanceof Histogram ? other.packed() : other;
    for (let index = 0; index + 1 < packed.length; index += 2) {
      this.#counts[packed[index]!]! += packed[index + 1]!;
      this.count += packed[index + 1]!;
    }
  }

  /** Only the buckets that hold something, each as its place and its count: a second of load is a few hundred numbers. */
  packed(): PackedHistogram {
    const packed: number[] = [];
    for (let place = 0; place < this.#counts.length; place += 1)
      if (this.#counts[place]! > 0) packed.push(place, this.#counts[place]!);
    return packed;
  }

  /** The buckets that hold something: the middle of each in milliseconds, and how many. */
  buckets(): { readonly ms: number; readonly count: number }[] {
    const packed = this.packed();
    return Array.from({ length: packed.length / 2 }, (_, index) => ({
      ms: middleOf(packed[index * 2]!),
      count: packed[index * 2 + 1]!,
    }));
  }

  /** In milliseconds: the middle of the bucket; NaN of none. */
  percentile(share: number): number {
    let left = Math.max(1, this.count * share);
    for (let place = 0; place < this.#counts.length; place += 1) {
      left -= this.#counts[place]!;
      if (left > 0) continue;
      return middleOf(place);
    }
    return Number.NaN;
  }
}

function middleOf(place: number): number {
  const shift = Math.max(0, (place >>> 6) - 1);
  return ((place - shift * 64) * 2 ** shift + (2 ** shift - 1) / 2) / 1000;
}

/** A histogram on its way between processes: place, count, place, count … */
export type PackedHistogram = readonly number[];
