/**
 * Time and its timers, passed in everywhere, so that the simulator can own them. Two readings: `nowMs` is the
 * monotonic one, for deadlines; `wallMs` is the calendar, for what people and the database see.
 */
export interface Clock {
  /** Milliseconds of a monotonic clock with one origin for all threads of a machine. */
  nowMs(): number;
  /** Milliseconds since 1970, UTC; may jump. */
  wallMs(): number;
  /** Runs `callback` once after `delayMs`; returns what cancels it. */
  after(delayMs: number, callback: () => void): () => void;
  /** Runs `callback` after the input that is at hand has been read: the end of this turn. */
  soon(callback: () => void): void;
}

/** Chance, passed in: `next()` is in [0, 1); `bytes` fills with random bytes fit for ids and secrets. */
export interface Chance {
  next(): number;
  bytes(target: Uint8Array): Uint8Array;
}
