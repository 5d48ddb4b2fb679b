import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from './core/clock.ts';

/**
 * Gives memory back after a storm. When thousands of connections end and come again the heap grows by half, and what is free
 * in it afterwards stays with the process: V8 collects when it needs room, not when there is some, and keeps the pages. So once
 * many have ended and the thread has little to do, it is told to collect all and let go: a pause of about 2 ms a megabyte, at
 * most once in `restMs`.
 */
export interface MemoryOptions {
  readonly clock: Clock;
  /** Connections of this thread that have ended since its start. */
  readonly closed: () => number;
  readonly log: (level: 'info', text: string) => void;
  /** The share of time that the thread was busy since it was last asked, 0 to 1. */
  readonly busy?: () => number;
  readonly collect?: () => void;
}

const lookMs = 2000;
const restMs = 15_000;
/** Connections ended that make a storm. */
const stormMin = 2000;
const busyMax = 0.3;

/** Looks every few seconds, for as long as the thread lives. */
export function giveMemoryBack(options: MemoryOptions): void {
  const { clock, closed, log, busy = busyOfThread(), collect = collectAll } = options;
  let closedBefore = 0;
  let restedMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    clock.after(lookMs, look);
    const isQuiet = busy() <= busyMax;
    const now = clock.nowMs();
    const ended = closed() - closedBefore;
    if (ended < stormMin || !isQuiet || now - restedMs < restMs) return;
    collect();
    restedMs = now;
    closedBefore += ended;
    log(
      'info',
      `memory was given back after ${ended} connections ended, in ${Math.round(clock.nowMs() - now)} ms`,
    );
  };
  clock.after(lookMs, look);
}

function busyOfThread(): () => number {
  let before: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
let gc: Collect | undefined;

function collectAll(): void {
  if (gc === undefined) {
    // Only V8's function has the flavour that lets go of free pages; it is nobody's but ours.
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc') as Collect;
  }
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
