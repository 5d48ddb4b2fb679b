import { readFileSync } from 'node:fs';

/** What processes take: alone, and with what they share counted once among all that share it. */
export interface Memory {
  readonly rssBytes: number;
  readonly pssBytes: number;
}

export function memoryOf(pids: readonly number[]): Memory {
  let rssBytes = 0;
  let pssBytes = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const bytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)![1]) * 1024;
    rssBytes += bytes('Rss');
    pssBytes += bytes('Pss');
  }
  return { rssBytes, pssBytes };
}

const longestMs = 60_000;
const everyMs = 1000;

/** Memory once it has stopped falling: nobody forces a collection, and garbage is not what a customer costs. */
export async function settledMemory(pids: readonly number[], stillMs: number): Promise<Memory> {
  let least = memoryOf(pids);
  let stillSinceMs = performance.now();
  const untilMs = performance.now() + longestMs;
  while (performance.now() < untilMs && performance.now() - stillSinceMs < stillMs) {
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    const now = memoryOf(pids);
    if (now.pssBytes < least.pssBytes * 0.99) stillSinceMs = performance.now();
    if (now.pssBytes < least.pssBytes) least = now;
  }
  return least;
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
