import { ask, isRefused } from './ask.ts';
import type { HistoryEvent } from './session-check.ts';
import type { Tally } from './tally.ts';
import type { LedgerEntry } from './world.ts';

const width = 8;
const attemptsMax = 20;
const retryMs = 500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads the history of these sessions over HTTP, and compares it with all that was told while they were going on. */
export async function audit(entries: readonly LedgerEntry[], tally: Tally): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < entries.length) {
      const entry = entries[next]!;
      next += 1;
      const events = await historyOf(entry, tally);
      if (events === undefined) continue;
      tally.counts.audited += 1;
      tally.counts.compared += entry.check.audit(events);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
}

/** Undefined when it could not be read, which is counted as an error. */
async function historyOf(entry: LedgerEntry, tally: Tally): Promise<HistoryEvent[] | undefined> {
  const { node, session, token, localAddress } = entry;
  const events: HistoryEvent[] = [];
  let after = 0;
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const path = `/v1/sessions/${session}/events?after=${after}&limit=200`;
    const answer = await ask(node, 'GET', path, { token, localAddress }).catch(() => undefined);
    if (answer === undefined || isRefused(answer)) {
      await pause(answer?.retryAfterMs ?? retryMs);
      continue;
    }
    if (answer.status !== 200) {
      tally.error(`history: ${answer.status}`);
      return undefined;
    }
    const { data, next } = answer.body as { data: HistoryEvent[]; next: string | null };
    events.push(...data);
    if (next === null || data.length === 0) return events;
    after = data.at(-1)!.seq;
    attempt -= 1;
  }
  tally.error('history: no answer');
  return undefined;
}
