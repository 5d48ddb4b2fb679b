import type { Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import { shardCount, shardOf } from '../core/ids.ts';
import { addWords } from '../core/search-words.ts';
import type { ColdTier } from './history.ts';
import type { Reader, Sql } from './database.ts';

export interface SearchIndexOptions {
  readonly reader: Reader;
  readonly cold: ColdTier;
  readonly clock: Clock;
  /** Whether this thread owns a shard: each indexes its own. */
  readonly owns: (shard: number) => boolean;
  /** A session that was touched is indexed no sooner than this. */
  readonly everyMs: number;
  /** Sessions remembered as touched; beyond that the tables are looked through. */
  readonly touchedMax: number;
  /** Words kept of what was just committed; beyond them the texts are read from the tables again. */
  readonly wordsMax: number;
  readonly log: (level: 'warn' | 'error', text: string, error?: unknown) => void;
  readonly observe: (
    what: 'sessions' | 'events' | 'reread' | 'failures' | 'overflows',
    count: number,
  ) => void;
}

/** Sessions indexed, and looked at, in one go. */
const batchMax = 100;
const sweepPage = 1000;
/** For so many times as long as it took to index a batch nothing more is indexed: what waits longer is written less often. */
const restShare = 4;
/** Lexemes of a session; what comes later is not found by its words any more. A tsvector may hold 1 MB. */
const lexemesMax = 20_000;
const attemptsMax = 6;
const attemptsKept = 1000;
const retryMs = 1000;
const flushPollMs = 20;
const checkedEveryMs = 60_000;
/** Commits that were on their way when it was looked. */
const slackMs = 60_000;

interface Row {
  id: string;
  state: string;
  customer: string;
  customer_name: string;
  agent: string | null;
  agent_name: string | null;
  target: string | null;
  group_name: string;
  subject: string | null;
  attributes: { tags?: unknown };
  indexed: number | null;
}

/** What is to be indexed of a session: all after `from`, up to `last`; without words they are to be read. */
interface Touch {
  readonly sinceMs: number;
  words: Set<string> | undefined;
  readonly from: number;
  last: number;
}

/**
 * Keeps the search index behind the chats: the words of whatever a session of this thread's shards has committed are kept,
 * and written a moment later, so that a chat's transaction does nothing for it. What a crash, or a full list,
 * forgot is found by looking through the tables: whoever opens a shard looks at its open sessions, and at those closed
 * since the shard was last known to be complete. Doing it twice changes nothing.
 */
export class SearchIndex {
  readonly #options: SearchIndexOptions;
  /** In the order in which they were touched first since they were indexed. */
  #touched = new Map<string, Touch>();
  /** Words in all of these. */
  #words = 0;
  readonly #unswept = new Set<number>();
  /** Sessions that could not be read, and how often. */
  readonly #attempts = new Map<string, number>();
  #running = false;
  #nextCheckedMs = 0;
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: SearchIndexOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, everyMs } = this.#options;
    this.#cancel = clock.after(Math.max(50, everyMs / 4), () => {
      void this.#turn().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Seconds since the oldest touch that is not indexed yet. */
  get lagSeconds(): number {
    const [oldest] = this.#touched.values();
    return oldest === undefined ? 0 : Math.max(0, this.#options.clock.nowMs() - oldest.sinceMs) / 1000;
  }

  /** These are in the database, in this order. */
  committed(items: readonly { readonly request: Committed }[]): void {
    for (const { request } of items) this.#note(request);
  }

  #note({ session, events }: Committed): void {
    const { clock, touchedMax, wordsMax, observe } = this.#options;
    const [first] = events;
    let touch = this.#touched.get(session);
    if (touch === undefined) {
      if (this.#touched.size >= touchedMax) {
        observe('overflows', 1);
        this.#unswept.add(shardOf(session));
        return;
      }
      const from = first === undefined ? 0 : first.seq - 1;
      touch = { sinceMs: clock.nowMs(), words: first && new Set(), from, last: from };
      this.#touched.set(session, touch);
    }
    const { words } = touch;
    if (words === undefined || first === undefined) return;
    if (first.seq !== touch.last + 1 || this.#words >= wordsMax) return this.#dropWords(touch);
    const before = words.size;
    for (const { json } of events) for (const text of textsOf(json)) addWords(text, words);
    touch.last += events.length;
    this.#words += words.size - before;
  }

  #dropWords(touch: Touch): void {
    this.#words -= touch.words?.size ?? 0;
    touch.words = undefined;
  }

  /** To be read from the tables, when its time comes. */
  #touch(session: string, sinceMs: number): void {
    const old = this.#touched.get(session);
    if (old !== undefined) this.#dropWords(old);
    this.#touched.set(session, { sinceMs: old?.sinceMs ?? sinceMs, words: undefined, from: 0, last: 0 });
  }

  /** What was committed there before is not known here. */
  opened(shards: readonly number[]): void {
    for (const shard of shards) this.#unswept.add(shard);
  }

  /** Settles when all that is known to be touched is in the index; rejects where it can't be written. */
  async flush(): Promise<void> {
    for (;;) {
      await this.#indexDue(false);
      if (this.#touched.size === 0) return;
      // Some wait for another try.
      await new Promise<void>((resolve) => this.#options.clock.after(flushPollMs, resolve));
    }
  }

  async #turn(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { log, observe } = this.#options;
    try {
      if (this.#unswept.size > 0) await this.#sweep();
      await this.#indexDue(true);
      await this.#tellChecked();
    } catch (error) {
      observe('failures', 1);
      log('warn', 'the search index could not be written; it is tried again', error);
    } finally {
      this.#running = false;
    }
  }

  async #indexDue(isPaced: boolean): Promise<void> {
    const { clock, everyMs } = this.#options;
    for (;;) {
      const beforeMs = clock.nowMs() - everyMs;
      const due = new Map<string, Touch>();
      for (const [session, touch] of this.#touched) {
        if (due.size >= batchMax) break;
        if (touch.sinceMs <= beforeMs) due.set(session, touch);
        // In the order of their times, but for those that wait for another try.
        else if (!this.#attempts.has(session)) break;
      }
      if (due.size === 0) return;
      // Before it is read: what is committed from here on is another touch.
      for (const [session, { words }] of due) {
        this.#touched.delete(session);
        this.#words -= words?.size ?? 0;
      }
      const startMs = clock.nowMs();
      try {
        await this.#index(due);
        // Much to index, as at a start or a rush, must not take the chats' time.
        const restMs = restShare * (clock.nowMs() - startMs);
        if (isPaced) await new Promise<void>((resolve) => clock.after(restMs, resolve));
      } catch (error) {
        const newer = this.#touched;
        this.#touched = new Map();
        for (const [session, { sinceMs }] of due) this.#touch(session, sinceMs);
        for (const [session, touch] of newer)
          if (!this.#touched.has(session)) this.#touched.set(session, touch);
          else this.#dropWords(touch);
        throw error;
      }
    }
  }

  async #index(due: ReadonlyMap<string, Touch>): Promise<void> {
    const { reader, observe } = this.#options;
    const list = [...due.keys()].join(',');
    const rows = await reader.query(
      (sql) => sql<Row[]>`
        select s.id, s.state, s.customer, s.customer_name, s.agent, s.agent_name, s.target, s.group_name, s.subject,
          s.attributes, x.indexed_seq as indexed
        from sessions s left join search x on x.session = s.id
        where s.id = any(string_to_array(${list}, ',')::uuid[])`,
    );
    const isKept = (row: Row): boolean => {
      const touch = due.get(row.id)!;
      return touch.words !== undefined && touch.from === (row.indexed ?? 0);
    };
    const others = rows.filter((row) => !isKept(row));
    if (others.length > 0) observe('reread', others.length);
    const missing = others.length === 0 ? undefined : await this.#eventsOf(others);
    const entries: Entry[] = [];
    for (const row of rows)
      try {
        entries.push(
          isKept(row)
            ? this.#entryOfKept(row, due.get(row.id)!)
            : await this.#entryOf(row, missing?.get(row.id) ?? []),
        );
        this.#attempts.delete(row.id);
      } catch (error) {
        // One whose part of the archive can't be read now must not hold up the others.
        if (!(error instanceof KefuError)) throw error;
        this.#failed(row.id, error);
      }
    if (entries.length === 0) return;
    await reader.query((sql) => write(sql, entries));
    observe('sessions', entries.length);
  }

  /** It is tried again behind all others, and later each time; after a few times not before it is touched again. */
  #failed(session: string, error: KefuError): void {
    const { clock, log, observe } = this.#options;
    const attempts = (this.#attempts.get(session) ?? 0) + 1;
    observe('failures', 1);
    if (attempts >= attemptsMax || this.#attempts.size >= attemptsKept) {
      this.#attempts.delete(session);
      log('error', `session ${session} can’t be read, and is not found by its words`, error);
      return;
    }
    this.#attempts.set(session, attempts);
    const newer = this.#touched.get(session);
    if (newer !== undefined) this.#dropWords(newer);
    this.#touched.delete(session);
    this.#touch(session, clock.nowMs() + retryMs * 2 ** attempts);
  }

  async #eventsOf(rows: readonly Row[]): Promise<Map<string, StoredText[]>> {
    const ids = rows.map(({ id }) => id).join(',');
    const froms = rows.map(({ indexed }) => indexed ?? 0).join(',');
    const found = new Map<string, StoredText[]>();
    const events = await this.#options.reader.query(
      (sql) => sql<{ session: string; seq: number; json: string }[]>`
        select e.session, e.seq, e.data::text as json
        from unnest(string_to_array(${ids}, ',')::uuid[], string_to_array(${froms}, ',')::int[]) w (session, seq)
        join events e on e.session = w.session and e.seq > w.seq order by e.session, e.seq`,
    );
    for (const { session, ...event } of events) {
      const list = found.get(session);
      if (list === undefined) found.set(session, [event]);
      else list.push(event);
    }
    return found;
  }

  async #entryOf(row: Row, warm: readonly StoredText[]): Promise<Entry> {
    const { cold, observe } = this.#options;
    const from = row.indexed ?? 0;
    let events = warm;
    // It was archived before it was indexed: what is missing is there.
    if (row.state === 'closed' && warm[0]?.seq !== from + 1)
      events = [...((await cold.events(row.id)) ?? []).filter(({ seq }) => seq > from), ...warm];
    observe('events', events.length);
    const words = new Set<string>();
    for (const { json } of events) for (const text of textsOf(json)) addWords(text, words);
    return entryOf(row, words, events.at(-1)?.seq ?? from);
  }

  #entryOfKept(row: Row, { words, from, last }: Touch): Entry {
    this.#options.observe('events', last - from);
    return entryOf(row, words!, last);
  }

  /** Notes which of these shards' sessions are not indexed as far as they go. */
  async #sweep(): Promise<void> {
    const { reader, clock, owns } = this.#options;
    const shards = new Set([...this.#unswept].filter(owns));
    const checked = await reader.query(
      (sql) => sql<{ since: string }[]>`
        select coalesce(min(at), 0) as since from search_checked
        where shard = any(string_to_array(${[...shards].join(',')}, ',')::int[])`,
    );
    const since = Number(checked[0]?.since ?? 0) - slackMs;
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await reader.query(
        (sql) => sql<{ id: string; behind: boolean }[]>`
          select s.id, coalesce(x.indexed_seq, 0) < coalesce((select max(seq) from events e where e.session = s.id),
            (select last_seq from cold c where c.session = s.id), 0) as behind
          from sessions s left join search x on x.session = s.id
          where s.id > ${after}::uuid and (s.state <> 'closed' or s.closed_at >= ${since})
          order by s.id limit ${sweepPage}`,
      );
      for (const { id, behind } of rows)
        if (behind && shards.has(shardOf(id)) && this.#touched.size < this.#options.touchedMax)
          this.#touch(id, clock.nowMs() - this.#options.everyMs);
      if (rows.length < sweepPage || this.#touched.size >= this.#options.touchedMax) break;
      after = rows.at(-1)!.id;
    }
    // A list that is full is worked off first; then it is looked again.
    if (this.#touched.size >= this.#options.touchedMax) return;
    for (const shard of shards) this.#unswept.delete(shard);
    for (const shard of this.#unswept) if (!owns(shard)) this.#unswept.delete(shard);
    this.#nextCheckedMs = Math.min(this.#nextCheckedMs, clock.nowMs() + checkedEveryMs);
  }

  /** What was committed so long ago is in the index: the next owner need not look further back. */
  async #tellChecked(): Promise<void> {
    const { reader, clock, owns } = this.#options;
    const now = clock.nowMs();
    if (now < this.#nextCheckedMs || this.#unswept.size > 0 || this.#attempts.size > 0) return;
    this.#nextCheckedMs = now + checkedEveryMs;
    const shards = [...Array(shardCount).keys()].filter(owns);
    if (shards.length === 0) return;
    const at = Math.floor(clock.wallMs() - this.lagSeconds * 1000);
    await reader.query(
      (sql) => sql`
        update search_checked set at = ${at}
        where shard = any(string_to_array(${shards.join(',')}, ',')::int[]) and at < ${at}`,
    );
  }
}

interface Committed {
  readonly session: string;
  readonly events: readonly StoredText[];
}

interface StoredText {
  readonly seq: number;
  readonly json: string;
}

interface Entry {
  readonly session: string;
  readonly customer: string;
  readonly words: readonly string[];
  readonly filters: readonly string[];
  readonly seq: number;
}

function entryOf(row: Row, words: Set<string>, seq: number): Entry {
  for (const text of [row.customer_name, row.agent_name ?? '', row.subject ?? '']) addWords(text, words);
  const { id: session, customer } = row;
  return { session, customer, words: [...words].slice(0, lexemesMax), filters: filtersOf(row), seq };
}

/** What a session is now, as words that no text has. */
function filtersOf(row: Row): string[] {
  const filters = [`=state:${row.state}`, `=group:${row.group_name}`];
  for (const agent of [row.agent, row.target]) if (agent !== null) filters.push(`=agent:${agent}`);
  const { tags } = row.attributes;
  if (Array.isArray(tags))
    for (const tag of tags.slice(0, 50))
      if (typeof tag === 'string' && tag !== '') filters.push(`=tag:${tag.slice(0, 100)}`);
  return filters;
}

/** Those of a typed body that people read. */
const bodyFields = ['text', 'title', 'caption', 'description', 'name'] as const;

const messageKey = '"type":"message"';
const bodyKey = ',"body":';
const textStart = '{"type":"text","text":"';
const textEnd = '"}}';

/** The texts of an event that are searched: messages and notes. */
export function textsOf(json: string): string[] {
  // A message as it is written has its body last, and quotes within a text are escaped: only that is parsed.
  const at = json.includes(messageKey) ? json.indexOf(bodyKey) + bodyKey.length : 0;
  if (at >= bodyKey.length)
    try {
      // A plain text without anything escaped is what it is.
      const isPlain = json.startsWith(textStart, at) && !json.includes('\\', at);
      const from = at + textStart.length;
      if (isPlain && json.indexOf('"', from) === json.length - textEnd.length && json.endsWith(textEnd))
        return [json.slice(from, -textEnd.length)];
      return bodyTexts(JSON.parse(json.slice(at, -1)));
    } catch {
      // Of another make, with more after its body.
    }
  const event = JSON.parse(json) as { type: string; body?: unknown; text?: unknown };
  if (event.type === 'note') return typeof event.text === 'string' ? [event.text] : [];
  return event.type === 'message' ? bodyTexts(event.body) : [];
}

function bodyTexts(body: unknown): string[] {
  if (typeof body === 'string') return [body];
  const fields = (body ?? {}) as Record<string, unknown>;
  return bodyFields.map((name) => fields[name]).filter((value) => typeof value === 'string');
}

async function write(sql: Sql, entries: readonly Entry[]): Promise<void> {
  const rows = JSON.stringify(entries.map((entry) => ({ ...entry, indexed_seq: entry.seq })));
  await sql`
    insert into search (session, customer, words, filters, indexed_seq)
    select r.session, r.customer, array_to_tsvector(array(select jsonb_array_elements_text(r.words))),
      array_to_tsvector(array(select jsonb_array_elements_text(r.filters))), r.indexed_seq
    from jsonb_to_recordset(${rows}::text::jsonb)
      r (session uuid, customer uuid, words jsonb, filters jsonb, indexed_seq int)
    join sessions s on s.id = r.session
    on conflict (session) do update set words = search.words || excluded.words, filters = excluded.filters,
      indexed_seq = excluded.indexed_seq
    where search.indexed_seq <= excluded.indexed_seq`;
}
