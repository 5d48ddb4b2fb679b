import type { Limits } from './types.ts';

/** What a thread has where nothing else is configured; the defaults of `Limits`. */
export const usualLimits: Limits = {
  turnMessages: 64,
  turnMs: 5,
  restartsMax: 5,
  restartWindowMs: 30_000,
  restartBackoffMinMs: 50,
  restartBackoffMaxMs: 5000,
  asksMax: 100_000,
};
