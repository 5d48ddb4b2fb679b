import { KefuError } from '../core/errors.ts';
import { isId } from '../core/ids.ts';
import type { Actor } from '../rules/session.ts';
import { bad } from './fields.ts';
import { visibleEvent } from './event-frames.ts';
import { optional, pageLimit } from './query.ts';
import type { Requests } from './requests.ts';
import { visibleTo, type SessionLister } from './session-page.ts';

/** Sessions that one page looks into; beyond them it ends early, with a cursor to go on. */
const sessionsMax = 20;

/**
 * A page of all that was ever said with a customer, newest first, through all sessions, whichever tier holds them. The
 * cursor is the place of the last event shown, `SESSION:SEQ`. An agent sees the sessions that it may read.
 */
export async function timelinePage(
  api: { readonly store: SessionLister; readonly requests: Requests; readonly historyPage: number },
  who: Actor,
  customer: string,
  query: URLSearchParams,
): Promise<{ data: object[]; next: string | null }> {
  if (who.kind === 'customer' && who.id !== customer)
    throw new KefuError('not_found', 'there is no such customer');
  const limit = pageLimit(query, 50, api.historyPage);
  const cursor = cursorOf(optional(query, 'cursor'));
  const data: object[] = [];
  const read = async (session: string, before: number | undefined): Promise<void> => {
    while (data.length < limit && before !== 1) {
      const range = before === undefined ? {} : { before };
      const { events, more } = await api.requests.history(who, session, range, limit - data.length);
      for (const event of events.toReversed()) data.push(visibleEvent(event, who.kind));
      if (!more) return;
      before = events[0]!.seq;
    }
  };
  if (cursor !== undefined) await read(cursor.session, cursor.seq);
  const sessions = await api.store.listSessions({
    customer,
    ...(who.kind === 'customer' ? {} : visibleTo(who)),
    ...(cursor === undefined ? {} : { before: cursor.session }),
    limit: sessionsMax + 1,
  });
  let last = cursor?.session;
  for (const { id } of sessions.slice(0, sessionsMax)) {
    if (data.length >= limit) break;
    await read(id, undefined);
    last = id;
  }
  const isOver = last === undefined || (data.length < limit && sessions.length <= sessionsMax);
  const shown = data.at(-1) as { session: string; seq: number } | undefined;
  if (isOver || shown === undefined) return { data, next: null };
  return { data, next: data.length < limit ? `${last}:1` : `${shown.session}:${shown.seq}` };
}

function cursorOf(text: string | undefined): { session: string; seq: number } | undefined {
  if (text === undefined) return undefined;
  const [session, seq = ''] = text.split(':');
  if (!isId(session) || !/^[1-9]\d{0,8}$/.test(seq)) throw bad('cursor', 'the `next` of the page before');
  return { session, seq: Number(seq) };
}
