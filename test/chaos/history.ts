import { setTimeout as delay } from 'node:timers/promises';
import type { Frame } from '../support/client.ts';

/** A session's whole history as one node shows it; undefined: it did not, or not in time. */
export async function readHistory(
  url: string,
  session: string,
  token: string,
  waitMs: number,
): Promise<Frame[] | undefined> {
  const events: Frame[] = [];
  const signal = AbortSignal.timeout(waitMs);
  const headers = { authorization: `Bearer ${token}` };
  try {
    for (;;) {
      const path = `${url}/v1/sessions/${session}/events?after=${events.length}&limit=2000`;
      const answer = await fetch(path, { headers, signal });
      if (answer.status === 503) {
        // It has just moved, or a connection has just broken: clients ask again, and so does this.
        const { error } = (await answer.json()) as { error: { retry_after_ms?: number } };
        await delay(error.retry_after_ms ?? 100, undefined, { signal });
        continue;
      }
      if (answer.status !== 200) {
        await answer.arrayBuffer();
        return undefined;
      }
      const { data, next } = (await answer.json()) as { data: Frame[]; next: string | null };
      events.push(...data);
      if (next === null) return events;
    }
  } catch {
    return undefined;
  }
}
