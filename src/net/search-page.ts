import { KefuError } from '../core/errors.ts';
import { viewOf, type EventOut, type SessionView } from '../protocol/session-view.ts';
import { marksOf, queryWords, type Mark } from '../core/search-words.ts';
import type { Actor, SessionState } from '../rules/session.ts';
import { bad } from './fields.ts';
import { optional, optionalId, pageLimit } from './query.ts';
import type { Requests } from './requests.ts';
import { sessionStates, visibleTo } from './session-page.ts';

/** What the search needs of the tables. */
export interface SearchStore {
  find(filter: {
    q: string;
    state?: string;
    agent?: string;
    group?: string;
    tag?: string;
    fromMs?: number;
    toMs?: number;
    visibleTo?: { agent: string; groups: readonly string[] };
    before?: string;
    limit: number;
  }): Promise<{ sessions: readonly string[]; cutAt: string | undefined }>;
  sessionsById(ids: readonly string[]): Promise<SessionState[]>;
}

export interface SearchApi {
  readonly search: SearchStore;
  readonly requests: Requests;
  readonly historyPage: number;
}

export interface Hit {
  readonly seq: number;
  readonly at: string;
  readonly from: unknown;
  readonly text: string;
  /** Places in `text`, in UTF-16 units. */
  readonly marks: readonly Mark[];
}

const pageUsual = 20;
const pageMax = 50;
const queryChars = 200;
const hitsMax = 3;
const hitChars = 160;
/** Pages of a session that are looked through for the words; what lies before them is not shown. */
const hitPages = 3;

/** Sessions that have all the words, newest first, with the messages that have them. For agents; each sees its own. */
export async function searchPage(
  { search, requests, historyPage }: SearchApi,
  who: Actor,
  query: URLSearchParams,
): Promise<{ data: { session: SessionView; hits: Hit[] }[]; next: string | null }> {
  if (who.kind === 'customer') throw new KefuError('forbidden', 'this is for agents');
  const q = (optional(query, 'q') ?? '').replaceAll('\0', '').slice(0, queryChars);
  if (queryWords(q).length === 0) throw bad('q', 'one word or more: letters, digits or characters');
  const state = optional(query, 'state');
  if (state !== undefined && !sessionStates.has(state)) throw bad('state', [...sessionStates].join(', '));
  const limit = pageLimit(query, pageUsual, pageMax);
  const given = {
    state,
    agent: optionalId(query, 'agent'),
    group: optional(query, 'group')?.slice(0, 100),
    tag: optional(query, 'tag')?.slice(0, 100),
    fromMs: timeOf(query, 'from'),
    toMs: timeOf(query, 'to'),
    before: optionalId(query, 'cursor'),
  };
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const { sessions, cutAt } = await search.find({ q, ...filter, ...visibleTo(who), limit: limit + 1 });
  const page = sessions.slice(0, limit);
  const states = await search.sessionsById(page);
  const data = await Promise.all(
    states.map(async (one) => ({
      session: viewOf(one),
      hits: await hitsOf(requests, who, one, q, historyPage),
    })),
  );
  const next = sessions.length > limit ? page.at(-1)! : (cutAt ?? null);
  return { data, next };
}

function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = optional(query, name);
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (!Number.isFinite(ms)) throw bad(name, 'a time like 2026-01-31T12:00:00Z, or a day like 2026-01-31');
  return ms;
}

/** The newest messages that have the words; none where only the subject or a name has them, or they can't be read now. */
async function hitsOf(
  requests: Requests,
  who: Actor,
  { id, lastSeq }: SessionState,
  q: string,
  historyPage: number,
): Promise<Hit[]> {
  const hits: Hit[] = [];
  let before = lastSeq + 1;
  for (let page = 0; page < hitPages && hits.length < hitsMax && before > 1; page += 1) {
    let events: readonly EventOut[];
    try {
      ({ events } = await requests.history(who, id, { before }, historyPage));
    } catch (error) {
      if (error instanceof KefuError) return hits;
      throw error;
    }
    if (events.length === 0) break;
    for (const event of events.toReversed()) {
      const hit = hits.length < hitsMax ? hitOf(event, q) : undefined;
      if (hit !== undefined) hits.push(hit);
    }
    before = events[0]!.seq;
  }
  return hits;
}

function hitOf({ type, json, seq }: EventOut, q: string): Hit | undefined {
  if (type !== 'message' && type !== 'note') return undefined;
  const event = JSON.parse(json) as { at: string; from: unknown; body?: unknown; text?: unknown };
  const body = event.body as { text?: unknown } | string | undefined;
  const text = typeof body === 'string' ? body : (body?.text ?? event.text);
  if (typeof text !== 'string') return undefined;
  const marks = marksOf(text, q);
  const [first] = marks;
  if (first === undefined) return undefined;
  // A window around the first one, which never cuts a character in two.
  const characters = Array.from(text.slice(Math.max(0, first[0] - hitChars / 2), first[0]));
  const start = first[0] - characters.slice(-hitChars / 4).join('').length;
  const shown = Array.from(text.slice(start)).slice(0, hitChars).join('').toWellFormed();
  const inside = marks.filter(([, end]) => end <= start + shown.length);
  return {
    seq,
    at: event.at,
    from: event.from,
    text: shown,
    marks: inside.map(([a, b]) => [a - start, b - start]),
  };
}
