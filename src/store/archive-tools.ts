import { KefuError } from '../core/errors.ts';
import type { ColdEvents } from './cold-events.ts';
import type { Reader, Sql } from './database.ts';
import type { ObjectStore } from './object-store.ts';
import { isLost, readWhole, type ArchiveDictionaries } from './segment-store.ts';
import { decodeBlock, dictionaryIdOf, inspectSegment } from './segment.ts';

export interface ArchiveToolsOptions {
  readonly sql: Sql;
  readonly reader: Reader;
  readonly store: ObjectStore;
  readonly dictionaries: ArchiveDictionaries;
  readonly cold: ColdEvents;
  /** Sessions, or segments, had from the database at a time. */
  readonly page?: number;
}

/** Which sessions; all of what is given must fit. `fromMs` and `toMs` are when they were opened. */
export interface Selection {
  readonly session?: string;
  readonly customer?: string;
  readonly segment?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
}

export interface Verified {
  readonly segments: number;
  readonly sessions: number;
  /** What is broken, with the object, the byte and the session. */
  readonly problems: readonly string[];
  /** Segments that could not be had from the store, and why not: nothing is known of them. */
  readonly unread: readonly string[];
}

/** What is in memory is in no database: see `kefu_history_stored_bytes` of /metrics. */
export interface Stats {
  readonly warm_sessions: number;
  readonly warm_events: number;
  /** Of the events' tables, with their indexes. */
  readonly warm_bytes: number;
  /** When the first and the last event in PostgreSQL were said, about: of the oldest and the newest sessions. */
  readonly warm_oldest: string | null;
  readonly warm_newest: string | null;
  /** Closed, and not in the archive yet; since when the one that waits longest is. */
  readonly warm_closed_sessions: number;
  readonly warm_closed_oldest: string | null;
  readonly cold_sessions: number;
  readonly cold_events: number;
  readonly segments: number;
  readonly segment_bytes: number;
  readonly json_bytes: number;
  readonly ratio: number | null;
  readonly garbage_bytes: number;
  /** Of the sessions' bytes in segments: what compaction would free. */
  readonly garbage_share: number | null;
  readonly oldest_cold: string | null;
  readonly newest_cold: string | null;
}

type Progress = (done: number, all: number) => void;

const segmentBytesMax = 512 * 2 ** 20;
/** So many segments in a row that can't be had: then the store can't, and the rest is not waited for. */
const unreadMax = 3;
const pageUsual = 500;
const firstId = '00000000-0000-0000-0000-000000000000';
/** Problems told by name; a store that has lost all would have millions. */
const problemsMax = 10_000;
/** Sessions whose last events are looked at for the newest of all. */
const newestMax = 1_000;

/** What operators do with the archive. Safe beside nodes that run: everything that changes is done under the sessions' rows. */
export class ArchiveTools {
  readonly #options: ArchiveToolsOptions;

  constructor(options: ArchiveToolsOptions) {
    this.#options = options;
  }

  /**
   * Reads every segment as a whole, and every session by its place in the database. Rejects where the store or the
   * database can't be had at all.
   */
  async verify(progress: Progress): Promise<Verified> {
    const { sql, page = pageUsual } = this.#options;
    const problems = new Problems();
    const unread = new Problems();
    let unreadInRow = 0;
    const [counted] = await sql<
      { count: string }[]
    >`select count(*) as count from segments where state = 'ready'`;
    const all = Number(counted!.count);
    let [segments, sessions] = [0, 0];
    for (let after = firstId, isLast = false; !isLast;) {
      const rows = await sql<{ id: string; object: string }[]>`
        select id, object from segments where state = 'ready' and id > ${after}::uuid order by id limit ${page}`;
      for (const segment of rows) {
        try {
          sessions += await this.#verifySegment(segment, problems);
          unreadInRow = 0;
        } catch (error) {
          unreadInRow += 1;
          if (!(error instanceof KefuError) || unreadInRow === unreadMax) throw error;
          unread.add(`${segment.object}: ${causeText(error)}`);
        }
        segments += 1;
        progress(Math.min(segments, all), all);
      }
      isLast = rows.length < page;
      after = rows.at(-1)?.id ?? after;
    }
    const lost = await sql<{ session: string }[]>`
      select c.session from cold c join segments s on s.id = c.segment where s.state <> 'ready' limit ${problemsMax}`;
    for (const { session } of lost) problems.add(`session ${session} is in a segment that is not finished`);
    const nowhere = await sql<{ id: string }[]>`
      select id from sessions s where cold and not exists (select 1 from cold c where c.session = s.id)
      limit ${problemsMax}`;
    for (const { id } of nowhere)
      problems.add(`session ${id} should be in the archive, and has no place there`);
    return { segments, sessions, problems: problems.told(), unread: unread.told() };
  }

  async #verifySegment({ id, object }: { id: string; object: string }, problems: Problems): Promise<number> {
    const { sql, store, dictionaries } = this.#options;
    let content: Uint8Array;
    try {
      content = await readWhole(store, object, segmentBytesMax);
    } catch (error) {
      if (!isLost(error)) throw error;
      if (await this.#isReady(id)) problems.add(`${object}: ${(error as Error).message}`);
      return 0;
    }
    const found = new Set(inspectSegment(content).problems);
    // By the database too: should the index be what is broken, its sessions may all be sound.
    const rows = await sql<
      { session: string; place: string; length: number; last_seq: number; checksum: string }[]
    >`
      select session, place, length, last_seq, checksum from cold where segment = ${id}::uuid order by place`;
    let sound = 0;
    for (const row of rows) {
      const entry = {
        session: row.session,
        place: Number(row.place),
        length: row.length,
        lastSeq: row.last_seq,
        checksum: row.checksum,
      };
      try {
        const block = content.subarray(entry.place, entry.place + entry.length);
        const needs = block.length === entry.length ? dictionaryIdOf(block) : undefined;
        const dictionary =
          needs === undefined ? undefined : await dictionaries.find(needs, { store, object });
        decodeBlock(entry, block, () => dictionary);
        sound += 1;
      } catch (error) {
        if (!isLost(error)) throw error;
        found.add((error as Error).message);
      }
    }
    if (found.size > 0 && (await this.#isReady(id)))
      for (const problem of found) problems.add(`${object}: ${problem}`);
    return sound;
  }

  /** False: it was written anew meanwhile, and its sessions are elsewhere. */
  async #isReady(segment: string): Promise<boolean> {
    const rows = await this.#options.sql`
      select 1 from segments where id = ${segment}::uuid and state = 'ready'`;
    return rows.length > 0;
  }

  async stats(): Promise<Stats> {
    const { sql } = this.#options;
    const [row] = await sql<Record<string, string | null>[]>`
      select (select count(*) from sessions where not cold) as warm_sessions,
        (select count(*) from events) as warm_events,
        (select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits
          where inhparent = 'events'::regclass) as warm_bytes,
        (select count(*) from sessions where state = 'closed' and not cold) as warm_closed_sessions,
        (select count(*) from cold) as cold_sessions,
        (select coalesce(sum(last_seq), 0) from cold) as cold_events,
        (select count(*) from segments where state = 'ready') as segments,
        (select coalesce(sum(bytes), 0) from segments where state = 'ready') as segment_bytes,
        (select coalesce(sum(raw), 0) from segments where state = 'ready') as json_bytes,
        (select coalesce(sum(blocks), 0) from segments where state = 'ready') as block_bytes,
        (select coalesce(sum(length), 0) from cold) as live_bytes`;
    const [times] = await sql<
      Record<'oldest' | 'newest' | 'closed' | 'cold_oldest' | 'cold_newest', string | null>[]
    >`
      select (select min(data->>'at') from
          (select data from events order by session, seq limit ${newestMax}) e) as oldest,
        (select max(data->>'at') from
          ((select id from sessions where not cold order by id desc limit ${newestMax})
            union (select id from sessions where state <> 'closed' limit ${newestMax})) s,
          lateral (select data from events e where e.session = s.id order by seq desc limit 1) e) as newest,
        (select min(closed_at) from sessions
          where state = 'closed' and not cold) as closed,
        (select min(closed_at) from sessions where cold) as cold_oldest,
        (select max(closed_at) from sessions where cold) as cold_newest`;
    const count = (name: string): number => Number(row![name]);
    const garbage = Math.max(0, count('block_bytes') - count('live_bytes'));
    return {
      warm_sessions: count('warm_sessions'),
      warm_events: count('warm_events'),
      warm_bytes: count('warm_bytes'),
      warm_oldest: times!.oldest,
      warm_newest: times!.newest,
      warm_closed_sessions: count('warm_closed_sessions'),
      warm_closed_oldest: timeOf(times!.closed),
      cold_sessions: count('cold_sessions'),
      cold_events: count('cold_events'),
      segments: count('segments'),
      segment_bytes: count('segment_bytes'),
      json_bytes: count('json_bytes'),
      ratio: share(count('segment_bytes'), count('json_bytes')),
      garbage_bytes: garbage,
      garbage_share: share(garbage, count('block_bytes')),
      oldest_cold: timeOf(times!.cold_oldest),
      newest_cold: timeOf(times!.cold_newest),
    };
  }

  /** Brings sessions back into the table, each in one transaction. The archiver takes them again when they are due. */
  async restore(
    selection: Selection | undefined,
    progress: Progress,
  ): Promise<{ sessions: number; events: number }> {
    const { sql, cold } = this.#options;
    let [sessions, events] = [0, 0];
    const all = await this.#count(selection, true);
    let done = 0;
    for await (const session of this.#select(selection, true)) {
      const texts = await cold.events(session);
      if (texts !== undefined) {
        const data = JSON.stringify(texts.map(({ seq, json }) => ({ seq, json })));
        const isBack = await sql.begin(async (transaction) => {
          const held = await transaction`select 1 from sessions where id = ${session}::uuid for update`;
          if (held.length === 0) return false;
          const gone = await transaction`
            delete from cold where session = ${session}::uuid and last_seq = ${texts.length} returning 1`;
          if (gone.length === 0) return false;
          await transaction`
            insert into events (session, seq, data)
            select ${session}::uuid, seq, json::json from json_to_recordset(${data}::text::json) e (seq int, json text)
            on conflict do nothing`;
          await transaction`update sessions set cold = false where id = ${session}::uuid`;
          return true;
        });
        if (isBack) {
          sessions += 1;
          events += texts.length;
        }
      }
      done += 1;
      progress(Math.min(done, all), all);
    }
    return { sessions, events };
  }

  /** A line of JSON a session: `{session, events}`, from whichever tier holds them; the oldest first. */
  async *export(selection: Selection | undefined, progress: Progress): AsyncGenerator<string> {
    const all = await this.#count(selection, false);
    let done = 0;
    for await (const session of this.#select(selection, false)) {
      const line = await this.#lineOf(session);
      if (line !== undefined) yield line;
      done += 1;
      progress(Math.min(done, all), all);
    }
  }

  /** undefined: it was erased meanwhile. Rejects when a session has no whole log. */
  async #lineOf(session: string): Promise<string | undefined> {
    const { reader, cold } = this.#options;
    // Its events may change their tier between two looks.
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const [row] = await reader.query(
        (sql) => sql<object[]>`select * from sessions where id = ${session}::uuid`,
      );
      if (row === undefined) return undefined;
      const warm = await reader.query(
        (sql) => sql<{ seq: number; json: string }[]>`
          select seq, data::text as json from events where session = ${session}::uuid order by seq`,
      );
      const old = warm[0]?.seq === 1 ? [] : ((await cold.events(session)) ?? []);
      const upTo = warm[0]?.seq ?? Infinity;
      const events = [...old.filter(({ seq }) => seq < upTo), ...warm];
      if (events.length > 0 && events.every(({ seq }, index) => seq === index + 1))
        return `{"session":${JSON.stringify(row)},"events":[${events.map(({ json }) => json).join(',')}]}`;
    }
    throw new Error(`session ${session} has no whole log`);
  }

  /** Page by page, so that it costs the same however many there are; what changes meanwhile is no harm. */
  async *#select(selection: Selection | undefined, isCold: boolean): AsyncGenerator<string> {
    const { sql, page = pageUsual } = this.#options;
    for (let after = firstId; ;) {
      const rows = await sql<{ id: string }[]>`
        select s.id from sessions s left join cold c on c.session = s.id
        where s.id > ${after}::uuid ${this.#conditions(selection, isCold)} order by s.id limit ${page}`;
      for (const { id } of rows) yield id;
      if (rows.length < page) return;
      after = rows.at(-1)!.id;
    }
  }

  async #count(selection: Selection | undefined, isCold: boolean): Promise<number> {
    const [row] = await this.#options.sql<{ count: string }[]>`
      select count(*) as count from sessions s left join cold c on c.session = s.id
      where true ${this.#conditions(selection, isCold)}`;
    return Number(row!.count);
  }

  #conditions(selection: Selection | undefined, isCold: boolean) {
    const { session, customer, segment, fromMs, toMs } = selection ?? {};
    const { sql } = this.#options;
    return sql`
      ${isCold || segment !== undefined ? sql`and c.session is not null` : sql``}
      ${session === undefined ? sql`` : sql`and s.id = ${session}::uuid`}
      ${customer === undefined ? sql`` : sql`and s.customer = ${customer}::uuid`}
      ${segment === undefined ? sql`` : sql`and c.segment = ${segment}::uuid`}
      ${fromMs === undefined ? sql`` : sql`and s.opened_at >= ${fromMs}`}
      ${toMs === undefined ? sql`` : sql`and s.opened_at < ${toMs}`}`;
  }
}

/** The first of them by name, and how many more there are. */
class Problems {
  readonly #named: string[] = [];
  #more = 0;

  add(problem: string): void {
    if (this.#named.length < problemsMax) this.#named.push(problem);
    else this.#more += 1;
  }

  told(): readonly string[] {
    return this.#more === 0 ? this.#named : [...this.#named, `and ${this.#more} more`];
  }
}

function causeText({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((1000 * part) / whole) / 1000;
}

function timeOf(ms: string | null): string | null {
  return ms === null ? null : new Date(Number(ms)).toISOString();
}
