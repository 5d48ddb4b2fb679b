import { fenced, inGroups } from './archive-sql.ts';
import type { Sql } from './database.ts';
import type { Term } from './journal-terms.ts';
import { publishSegment, type PublishOptions } from './segment-publish.ts';
import { readWhole, type ArchiveDictionaries } from './segment-store.ts';
import {
  checksumOf,
  decodeBlock,
  dictionaryIdOf,
  digestOf,
  SegmentWriter,
  type Dictionary,
} from './segment.ts';

export interface CompactorOptions extends PublishOptions {
  readonly dictionaries: ArchiveDictionaries;
  /** A segment is written anew when more than this share of its sessions' bytes is pointed at no more. */
  readonly share: number;
  /** Or when anything is, and it is this old: what was erased must be gone some day. */
  readonly eraseMs: number;
  readonly log: (level: 'info' | 'error', text: string, error?: unknown) => void;
  readonly observe: (what: 'compacted' | 'freed', count: number) => void;
}

interface Candidate {
  readonly id: string;
  readonly object: string;
  readonly bytes: number;
}

interface Live {
  readonly session: string;
  readonly place: number;
  readonly length: number;
  readonly lastSeq: number;
  readonly checksum: string;
}

/** Sessions whose place changes in one transaction. */
const moveSessions = 200;
/** Segments that could not be written anew are left alone until the next start. */
const brokenMax = 100;

/**
 * Frees what erasure, retention and second archiving left behind: the blocks that are still pointed at are copied as they
 * are into a new segment, their sessions point there, and the old object goes. A session that changed its place
 * meanwhile is left alone. Each step can be the last one: nothing points anywhere that is not there.
 */
export class Compactor {
  readonly #options: CompactorOptions;
  readonly #term: Term;
  readonly #broken = new Set<string>();
  #stopped = false;

  constructor(options: CompactorOptions, term: Term) {
    this.#options = options;
    this.#term = term;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Rejects where it can't go on now. Returns how many segments are gone. */
  async round(): Promise<number> {
    let count = 0;
    while (!this.#stopped) {
      const candidate = await this.#next();
      if (candidate === undefined) break;
      if (await this.#compact(candidate)) count += 1;
    }
    return count;
  }

  async #next(): Promise<Candidate | undefined> {
    const { sql, share, eraseMs, clock } = this.#options;
    const rows = await sql<{ id: string; object: string; bytes: string }[]>`
      select s.id, s.object, s.bytes from segments s
      left join (select segment, sum(length) as live from cold group by segment) c on c.segment = s.id
      where s.state = 'ready' and coalesce(c.live, 0) < s.blocks
        and (s.blocks - coalesce(c.live, 0) > ${share}::float8 * s.blocks or s.made_at <= ${clock.wallMs() - eraseMs})
      order by s.made_at limit ${brokenMax + 1}`;
    const found = rows.find(({ id }) => !this.#broken.has(id));
    return found && { ...found, bytes: Number(found.bytes) };
  }

  async #compact(old: Candidate): Promise<boolean> {
    const { sql, log, observe } = this.#options;
    const live = await liveOf(sql, old.id);
    let freed = old.bytes;
    if (live.length > 0) {
      const copied = await this.#copy(old, live);
      if (copied === undefined) return false;
      freed -= copied;
    }
    // Nothing new comes to point at it; should anything still do, it stays.
    const left = await fenced(
      sql,
      this.#term,
      (it) => it`update segments set state = 'leaving' where id = ${old.id}::uuid
        and not exists (select 1 from cold where segment = ${old.id}::uuid) returning 1`,
    );
    if (left.length === 0) return false;
    await this.#options.store.delete(old.object);
    await fenced(
      sql,
      this.#term,
      (it) => it`delete from segments where id = ${old.id}::uuid and state = 'leaving'`,
    );
    observe('compacted', 1);
    observe('freed', Math.max(0, freed));
    log('info', `${old.object} is gone: ${live.length} of its sessions were still needed`);
    return true;
  }

  /** Bytes of the new segment; undefined where the old one can't be read. */
  async #copy(old: Candidate, live: readonly Live[]): Promise<number | undefined> {
    const { store, dictionaries, log, sql } = this.#options;
    const content = await readWhole(store, old.object, old.bytes);
    const writer = new SegmentWriter();
    const digests = new Map<string, string>();
    let events = 0;
    let raw = 0;
    for (const entry of live) {
      const block = content.subarray(entry.place, entry.place + entry.length);
      if (checksumOf(block) !== entry.checksum) {
        if (this.#broken.size < brokenMax) this.#broken.add(old.id);
        log(
          'error',
          `${old.object}: session ${entry.session} at byte ${entry.place} is broken; the segment stays as it is`,
        );
        return undefined;
      }
      const id = dictionaryIdOf(block);
      const dictionary: Dictionary | undefined =
        id === undefined ? undefined : await dictionaries.get(id, { store, object: old.object });
      writer.add(entry.session, block, entry.lastSeq, () => dictionary);
      const texts = decodeBlock(entry, block, () => dictionary);
      digests.set(entry.session, digestOf(texts));
      events += texts.length;
      for (const text of texts) raw += Buffer.byteLength(text);
    }
    const { id, entries, bytes } = await publishSegment(this.#options, this.#term, writer, {
      digests,
      events,
      raw,
    });
    for (const group of inGroups(entries, moveSessions)) {
      const rows = JSON.stringify(group.map(({ session, place }) => ({ session, place })));
      await fenced(
        sql,
        this.#term,
        (it) => it`
          update cold c set segment = ${id}::uuid, place = m.place
          from json_to_recordset(${rows}::text::json) m (session uuid, place bigint)
          where c.session = m.session and c.segment = ${old.id}::uuid`,
      );
    }
    return bytes;
  }
}

async function liveOf(sql: Sql, segment: string): Promise<Live[]> {
  const rows = await sql<
    { session: string; place: string; length: number; last_seq: number; checksum: string }[]
  >`
    select session, place, length, last_seq, checksum from cold where segment = ${segment}::uuid order by place`;
  return rows.map((row) => ({
    session: row.session,
    place: Number(row.place),
    length: row.length,
    lastSeq: row.last_seq,
    checksum: row.checksum,
  }));
}
