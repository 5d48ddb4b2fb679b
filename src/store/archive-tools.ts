import type { Sql } from './database.ts';
import type { ColdEvents } from './cold-events.ts';
import type { Reader } from './database.ts';
import type { ObjectStore } from './object-store.ts';
import { readWhole, type ArchiveDictionaries } from './segment-store.ts';
import { decodeBlock, dictionaryIdOf, inspectSegment } from './segment.ts';

export interface ArchiveToolsOptions {
  readonly sql: Sql;
  readonly reader: Reader;
  readonly store: ObjectStore;
  readonly dictionaries: ArchiveDictionaries;
  readonly cold: ColdEvents;
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
}

export interface Stats {
  readonly warm_sessions: number;
  readonly warm_events: number;
  readonly cold_sessions: number;
  readonly cold_events: number;
  readonly segments: number;
  readonly segment_bytes: number;
  readonly json_bytes: number;
  readonly ratio: number | null;
  readonly garbage_bytes: number;
  readonly oldest_cold: string | null;
  readonly newest_cold: string | null;
}

type Progress = (done: number, all: number) => void;

const segmentBytesMax = 512 * 2 ** 20;
const page = 500;

/** What operators do with the archive. Safe beside nodes that run: everything that changes is done under the sessions' rows. */
export class ArchiveTools {
  readonly #options: ArchiveToolsOptions;

  constructor(options: ArchiveToolsOptions) {
    this.#options = options;
  }

  /** Reads every segment as a whole, and every session by its place in the database. */
  async verify(progress: Progress): Promise<Verified> {
    const { sql } = this.#options;
    const segments = await sql<{ id: string; object: string }[]>`
      select id, object from segments where state = 'ready' order by made_at`;
    const problems: string[] = [];
    let sessions = 0;
    for (const [index, segment] of segments.entries()) {
      sessions += await this.#verifySegment(segment, problems);
      progress(index + 1, segments.length);
    }
    const lost = await sql<{ session: string }[]>`
      select c.session from cold c join segments s on s.id = c.segment where s.state <> 'ready'`;
    for (const { session } of lost) problems.push(`session ${session} is in a segment that is not finished`);
    const nowhere = await sql<{ id: string }[]>`
      select id from sessions s where cold and not exists (select 1 from cold c where c.session = s.id) limit 1000`;
    for (const { id } of nowhere)
      problems.push(`session ${id} should be in the archive, and has no place there`);
    return { segments: segments.length, sessions, problems };
  }

  async #verifySegment({ id, object }: { id: string; object: string }, problems: string[]): Promise<number> {
    const { sql, store, dictionaries } = this.#options;
    let content: Uint8Array;
    try {
      content = await readWhole(store, object, segmentBytesMax);
    } catch (error) {
      if (await this.#isReady(id)) problems.push(`${object}: ${(error as Error).message}`);
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
          needs === undefined
            ? undefined
            : await dictionaries.get(needs, { store, object }).catch(() => undefined);
        decodeBlock(entry, block, () => dictionary);
        sound += 1;
      } catch (error) {
        found.add((error as Error).message);
      }
    }
    if (found.size > 0 && (await this.#isReady(id)))
      for (const problem of found) problems.push(`${object}: ${problem}`);
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
    const [row] = await sql<Record<keyof Omit<Stats, 'ratio'>, string | null>[]>`
      select (select count(*) from sessions where not cold) as warm_sessions,
        (select count(*) from events) as warm_events,
        (select count(*) from cold) as cold_sessions,
        (select coalesce(sum(last_seq), 0) from cold) as cold_events,
        (select count(*) from segments where state = 'ready') as segments,
        (select coalesce(sum(bytes), 0) from segments where state = 'ready') as segment_bytes,
        (select coalesce(sum(raw), 0) from segments where state = 'ready') as json_bytes,
        (select coalesce(sum(blocks), 0) from segments where state = 'ready')
          - (select coalesce(sum(length), 0) from cold) as garbage_bytes,
        (select to_timestamp(min(closed_at) / 1000.0)::text from sessions where cold) as oldest_cold,
        (select to_timestamp(max(closed_at) / 1000.0)::text from sessions where cold) as newest_cold`;
    const { oldest_cold, newest_cold, ...counts } = row!;
    const numbers = Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, Number(value)]));
    const { segment_bytes = 0, json_bytes = 0 } = numbers;
    const ratio = json_bytes === 0 ? null : Math.round((1000 * segment_bytes) / json_bytes) / 1000;
    return {
      ...(numbers as unknown as Omit<Stats, 'ratio' | 'oldest_cold' | 'newest_cold'>),
      ratio,
      oldest_cold,
      newest_cold,
    };
  }

  /** Brings sessions back into the table, each in one transaction. The archiver takes them again when they are due. */
  async restore(
    selection: Selection | undefined,
    progress: Progress,
  ): Promise<{ sessions: number; events: number }> {
    const { sql, cold } = this.#options;
    let [sessions, events] = [0, 0];
    const ids = await this.#select(selection, true);
    for (const [index, session] of ids.entries()) {
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
      progress(index + 1, ids.length);
    }
    return { sessions, events };
  }

  /** A line of JSON a session: `{session, events}`, from whichever tier holds them; the oldest first. */
  async *export(selection: Selection | undefined, progress: Progress): AsyncGenerator<string> {
    const ids = await this.#select(selection, false);
    for (const [index, session] of ids.entries()) {
      const line = await this.#lineOf(session);
      if (line !== undefined) yield line;
      progress(index + 1, ids.length);
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

  async #select(selection: Selection | undefined, isCold: boolean): Promise<string[]> {
    const { session, customer, segment, fromMs, toMs } = selection ?? {};
    const { sql } = this.#options;
    const found: string[] = [];
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await sql<{ id: string }[]>`
        select s.id from sessions s left join cold c on c.session = s.id
        where s.id > ${after}::uuid
          ${isCold || segment !== undefined ? sql`and c.session is not null` : sql``}
          ${session === undefined ? sql`` : sql`and s.id = ${session}::uuid`}
          ${customer === undefined ? sql`` : sql`and s.customer = ${customer}::uuid`}
          ${segment === undefined ? sql`` : sql`and c.segment = ${segment}::uuid`}
          ${fromMs === undefined ? sql`` : sql`and s.opened_at >= ${fromMs}`}
          ${toMs === undefined ? sql`` : sql`and s.opened_at < ${toMs}`}
        order by s.id limit ${page}`;
      for (const { id } of rows) found.push(id);
      if (rows.length < page) return found;
      after = rows.at(-1)!.id;
    }
  }
}
