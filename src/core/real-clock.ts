import { getRandomValues } from 'node:crypto';
import type { Chance, Clock } from './clock.ts';

/** The machine's clock. `hrtime` has one origin for all threads, which `performance.now()` has not. */
export const realClock: Clock = {
  nowMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  soon(callback) {
    setImmediate(callback);
  },
};

export const realChance: Chance = {
  next: () => Math.random(),
  bytes: (target) => getRandomValues(target),
};
