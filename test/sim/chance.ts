import type { Chance } from '../../src/core/clock.ts';

/** All chance of a run, from one seed (mulberry32). Each part has its own, so that one more draw here moves nothing there. */
export class SimChance implements Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike.
    for (let turn = 0; turn < 4; turn += 1) this.next();
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  bytes(target: Uint8Array): Uint8Array {
    for (let index = 0; index < target.length; index += 1) target[index] = this.below(256);
    return target;
  }

  /** 0, 1 … max - 1. */
  below(max: number): number {
    return Math.floor(this.next() * max);
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  happens(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  fork(): SimChance {
    return new SimChance(this.below(2 ** 32));
  }
}
