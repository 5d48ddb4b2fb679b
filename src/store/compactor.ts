import { fenced, inGroups } from './archive-sql.ts';
import type { Sql } from './database.ts';
import type { Term } from './journal-terms.ts';
import { publishSegment, type PublishOptions } from './segment-publish.ts';
import { readWhole, type ArchiveDictionaries } from './segment-store.ts';
import { dictionaryIdOf, SegmentWriter, type Dictionary, type SegmentEntry } from './segment.ts';

export interface CompactorOptions extends PublishOptions {
  readonly dictionaries: ArchiveDictionaries;
  /** A segment is written anew when more than this share of its sessions' bytes is pointed at no more. */
  readonly share: number;
  /** Or when anything is, and it is this old: what was erased must be gone some day. */
  readonly eraseMs: number;
  /** Events read a second, at most; Infinity: as fast as it goes. */
  readonly eventsPerSecond: number;
  /** Segments of less than half of these bytes are small. */
  readonly segmentBytes: number;
  /** So many small ones become one; default 8. */
  readonly mergeLeast?: number;
  readonly log: (level: 'info' | 'error', text: string, error?: unknown) => void;
  readonly observe: (what: 'compacted' | 'merged' | 'freed', count: number) => void;
}

interface Candidate {
  readonly id: string;
  readonly object: string;
  readonly bytes: number;
  /** Of its sessions alone, those included that are not needed any more. */
  readonly blocks: number;
}

/** Sessions whose place changes in one transaction. */
const moveSessions = 200;
/** Segments that could not be written anew are left alone until the next start. */
const brokenMax = 100;
/** No segment is begun after so long: erasures and archiving wait behind a round. The rest is for the next one. */
const roundMs = 300_000;
/** A pause between two looks whether it is to stop. */
const pauseMs = 500;
/** Small segments that a round of merging looks at, and those that become one at a time. */
const smallMax = 5_000;
const mergeMost = 500;
const mergeLeastUsual = 8;

/**
 * Frees what erasure, retention and second archiving left behind, and makes few segments of many small ones: the blocks
 * that are still pointed at are copied as they are into a new segment, their sessions point there, and the old objects go.
 * A session that changed its place meanwhile is left alone. Each step can be the last one: nothing points anywhere that
 * is not there.
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
    const endMs = this.#options.clock.nowMs() + roundMs;
    let count = 0;
    while (!this.#stopped && this.#options.clock.nowMs() < endMs) {
      const candidate = await this.#next();
      if (candidate === undefined) break;
      const gone = await this.#rewrite([candidate], 1);
      this.#options.observe('compacted', gone);
      count += gone;
      // It stays as it is; whatever the reason, it is not tried again and again.
      if (gone === 0) this.#giveUp(candidate);
    }
    return count;
  }

  /**
   * Neighbours in the order in which they were made, for what lies together is read together. One of some size is made
   * anew until it is not small any more, at most once a round. Returns how many segments are gone.
   */
  async merge(): Promise<number> {
    const { clock, mergeLeast: least = mergeLeastUsual } = this.#options;
    const endMs = clock.nowMs() + roundMs;
    let count = 0;
    for (const group of groupsOf(await this.#small(), this.#options.segmentBytes)) {
      if (this.#stopped || clock.nowMs() >= endMs) break;
      if (group.length < least) continue;
      const gone = await this.#rewrite(group, 2);
      this.#options.observe('merged', gone);
      count += gone;
    }
    return count;
  }

  async #next(): Promise<Candidate | undefined> {
    const { sql, share, eraseMs, clock } = this.#options;
    const rows = await sql<Record<keyof Candidate, string>[]>`
      select s.id, s.object, s.bytes, s.blocks from segments s
      left join (select segment, sum(length) as live from cold group by segment) c on c.segment = s.id
      where s.state = 'ready' and coalesce(c.live, 0) < s.blocks
        and (s.blocks - coalesce(c.live, 0) > ${share}::float8 * s.blocks or s.made_at <= ${clock.wallMs() - eraseMs})
      order by s.made_at limit ${brokenMax + 1}`;
    return rows.map(candidateOf).find(({ id }) => !this.#broken.has(id));
  }

  async #small(): Promise<Candidate[]> {
    const { sql, segmentBytes } = this.#options;
    const rows = await sql<Record<keyof Candidate, string>[]>`
      select id, object, bytes, blocks from segments
      where state = 'ready' and blocks < ${Math.floor(segmentBytes / 2)} order by id limit ${smallMax}`;
    return rows.map(candidateOf).filter(({ id }) => !this.#broken.has(id));
  }

  /** One segment of what these still hold; fewer than `least` that can be read are left as they are. Returns those gone. */
  async #rewrite(candidates: readonly Candidate[], least: number): Promise<number> {
    const writer = new SegmentWriter();
    const copied: Copied = { olds: [], from: new Map(), digests: new Map(), events: 0, raw: 0 };
    for (const old of candidates) {
      if (this.#stopped) return 0;
      await this.#copy(old, writer, copied);
    }
    const { olds, from, ...about } = copied;
    if (olds.length < least) return 0;
    let freed = olds.reduce((sum, { bytes }) => sum + bytes, 0);
    if (writer.sessions > 0) {
      const { id, entries, bytes } = await publishSegment(this.#options, this.#term, writer, about);
      freed -= bytes;
      for (const group of inGroups(entries, moveSessions)) await this.#point(id, group, from);
    }
    let gone = 0;
    for (const old of olds) if (await this.#leave(old)) gone += 1;
    this.#options.observe('freed', Math.max(0, freed));
    this.#options.log(
      'info',
      `${gone} segments are gone, ${olds[0]?.object} the first: ${writer.sessions} of their sessions were still needed`,
    );
    return gone;
  }

  /** Adds what is needed of a segment, all or nothing. */
  async #copy(old: Candidate, writer: SegmentWriter, copied: Copied): Promise<void> {
    const { sql, store, dictionaries, pool, log, clock } = this.#options;
    const startMs = clock.nowMs();
    const live = await liveOf(sql, old.id);
    if (live.length > 0) {
      const content = await readWhole(store, old.object, old.bytes);
      const blocks = live.map(({ place, length }) => content.subarray(place, place + length));
      const needed = new Map<string, Dictionary>();
      for (const id of new Set(blocks.map(dictionaryIdOf)))
        if (id !== undefined) {
          const found = await dictionaries.find(id, { store, object: old.object });
          if (found !== undefined) needed.set(id, found);
        }
      const measured = await pool.measure(content, live, [...needed.values()]);
      for (const [index, one] of measured.entries())
        if ('problem' in one) {
          this.#giveUp(old);
          log(
            'error',
            `${old.object}: session ${live[index]!.session} at byte ${live[index]!.place} is broken; the segment stays as it is`,
          );
          return;
        }
      for (const [index, one] of measured.entries()) {
        if ('problem' in one) continue;
        const { session, lastSeq } = live[index]!;
        writer.add(session, blocks[index]!, lastSeq, (id) => needed.get(id));
        copied.from.set(session, old.id);
        copied.digests.set(session, one.digest);
        copied.events += one.events;
        copied.raw += one.raw;
      }
    }
    copied.olds.push(old);
    await this.#pace(
      live.reduce((sum, { lastSeq }) => sum + lastSeq, 0),
      startMs,
    );
  }

  /** Waits for as long as it was faster than it may be. */
  async #pace(events: number, startMs: number): Promise<void> {
    const { clock, eventsPerSecond } = this.#options;
    const endMs = startMs + (events / eventsPerSecond) * 1000;
    for (let leftMs = endMs - clock.nowMs(); leftMs > 0 && !this.#stopped; leftMs = endMs - clock.nowMs())
      await new Promise<void>((resolve) => clock.after(Math.min(leftMs, pauseMs), resolve));
  }

  /** These sessions are there from now on, unless they have gone elsewhere. */
  async #point(
    id: string,
    entries: readonly SegmentEntry[],
    from: ReadonlyMap<string, string>,
  ): Promise<void> {
    const rows = JSON.stringify(
      entries.map(({ session, place }) => ({ session, place, old: from.get(session) })),
    );
    await fenced(
      this.#options.sql,
      this.#term,
      (it) => it`
        update cold c set segment = ${id}::uuid, place = m.place
        from json_to_recordset(${rows}::text::json) m (session uuid, place bigint, old uuid)
        where c.session = m.session and c.segment = m.old`,
    );
  }

  /** Nothing new comes to point at it; should anything still do, it stays. */
  async #leave(old: Candidate): Promise<boolean> {
    const { sql, store } = this.#options;
    const left = await fenced(
      sql,
      this.#term,
      (it) => it`update segments set state = 'leaving' where id = ${old.id}::uuid
        and not exists (select 1 from cold where segment = ${old.id}::uuid) returning 1`,
    );
    if (left.length === 0) return false;
    await store.delete(old.object);
    await fenced(
      sql,
      this.#term,
      (it) => it`delete from segments where id = ${old.id}::uuid and state = 'leaving'`,
    );
    return true;
  }

  #giveUp({ id }: Candidate): void {
    if (this.#broken.size < brokenMax) this.#broken.add(id);
  }
}

/** What a new segment is made of. */
interface Copied {
  readonly olds: Candidate[];
  /** Session → the segment that it comes from. */
  readonly from: Map<string, string>;
  readonly digests: Map<string, string>;
  events: number;
  raw: number;
}

/** Neighbours that fit together into one segment. */
function groupsOf(all: readonly Candidate[], segmentBytes: number): Candidate[][] {
  const groups: Candidate[][] = [];
  let bytes = Infinity;
  for (const one of all) {
    const group = groups.at(-1);
    if (group === undefined || bytes + one.blocks > segmentBytes || group.length === mergeMost) {
      groups.push([one]);
      bytes = 0;
    } else group.push(one);
    bytes += one.blocks;
  }
  return groups;
}

function candidateOf(row: Record<keyof Candidate, string>): Candidate {
  return { id: row.id, object: row.object, bytes: Number(row.bytes), blocks: Number(row.blocks) };
}

async function liveOf(sql: Sql, segment: string): Promise<SegmentEntry[]> {
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
