import { LRUCache } from 'lru-cache';
import type { History } from '../actors/ports.ts';
import { storedEvent } from '../actors/session-events.ts';
import type { EventOut } from '../protocol/session-view.ts';
import type { Reader } from './database.ts';

/** The last events of a session, without gaps: what most readers want. */
interface Tail {
  events: EventOut[];
  bytes: number;
}

/** Events kept of one session; a busy one must not push out all others. */
const tailMax = 256;
/** What an event costs beside its text. */
const eventOverhead = 160;

/**
 * Reading any range of any session: recent events from memory, an LRU bounded in bytes; the rest from PostgreSQL.
 * Only the thread that owns a session reads here, after its commits, so memory and table never contradict each other.
 */
export class TieredHistory implements History {
  readonly #reader: Reader;
  readonly #hot: LRUCache<string, Tail>;
  hits = 0;
  misses = 0;

  constructor(reader: Reader, hotBytes: number) {
    this.#reader = reader;
    this.#hot = new LRUCache({ maxSize: Math.max(1, hotBytes), sizeCalculation: (tail) => tail.bytes });
  }

  get hotBytes(): number {
    return this.#hot.calculatedSize;
  }

  keep(session: string, events: readonly EventOut[]): void {
    const old = this.#hot.get(session);
    const first = events[0]!;
    const last = old?.events.at(-1);
    const kept = old !== undefined && last !== undefined && last.seq === first.seq - 1 ? old.events : [];
    for (const event of events) kept.push(event);
    // Cut by halves: shifting one off for each one added would copy the array each time.
    const tail = kept.length > tailMax ? kept.slice(kept.length - tailMax / 2) : kept;
    let bytes = 200;
    for (const event of tail) bytes += event.json.length + eventOverhead;
    this.#hot.set(session, { events: tail, bytes });
  }

  range(
    session: string,
    after: number,
    upTo: number,
    limit: number,
  ): readonly EventOut[] | Promise<readonly EventOut[]> {
    const last = Math.min(upTo, after + limit);
    const hot = this.#hot.get(session)?.events;
    const first = hot?.[0];
    if (hot !== undefined && first !== undefined && first.seq <= after + 1 && hot.at(-1)!.seq >= last) {
      this.hits += 1;
      return hot.slice(after + 1 - first.seq, last + 1 - first.seq);
    }
    this.misses += 1;
    return this.#read(session, after, last);
  }

  async #read(session: string, after: number, last: number): Promise<readonly EventOut[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ seq: number; data: string }[]>`
        select seq, data::text as data from events
        where session = ${session}::uuid and seq > ${after} and seq <= ${last} order by seq`,
    );
    return rows.map((row) => storedEvent(row.seq, row.data));
  }

  async messageIds(session: string, each: (seq: number, sender: string, id: string) => void): Promise<void> {
    const page = 5000;
    for (let after = 0; ;) {
      const rows = await this.#reader.query(
        (sql) => sql<{ seq: number; sender: string; id: string }[]>`
          select seq, data->'from'->>'id' as sender, data->>'id' as id from events
          where session = ${session}::uuid and seq > ${after} and data->>'type' = 'message'
          order by seq limit ${page}`,
      );
      for (const row of rows) each(row.seq, row.sender, row.id);
      if (rows.length < page) return;
      after = rows.at(-1)!.seq;
    }
  }
}
