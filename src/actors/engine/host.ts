import type { RunQueue } from './run-queue.ts';
import type { Limits, Observer, Reply, System } from './types.ts';

/** What the cells of a thread share: its system, as they see it. */
export interface Host {
  readonly system: System;
  readonly limits: Limits;
  readonly observer: Observer;
  readonly queue: RunQueue;
  /** Restarts since the start. */
  restarts: number;
  /** Takes the cell out of all maps. */
  remove(kind: string, key: string): void;
  deadLetter(kind: string, key: string, reason: string): void;
  /** A message that waited for an actor that has moved: goes after it. */
  passOn(kind: string, key: string, message: unknown, reply: Reply | undefined): void;
}
