import { LRUCache } from 'lru-cache';
import type { History } from '../actors/ports.ts';
import { storedEvent } from '../actors/session-events.ts';
import type { EventOut } from '../protocol/session-view.ts';
import type { Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import type { Reader } from './database.ts';

/** The last events of a session, without gaps: what most readers want. */
interface Tail {
  events: EventOut[];
  bytes: number;
}

/** The archive: all of a session's events that are in it, from 1 on; undefined when none are. */
export interface ColdTier {
  events(session: string): Promise<readonly EventOut[] | undefined>;
}

export type Tier = 'hot' | 'warm' | 'cold';

/** Told of each range that was read. */
export interface HistoryObserver {
  readonly clock: Clock;
  /** Bytes of the events’ text; the age is that of the first of them. */
  readonly read: (tier: Tier, bytes: number, ms: number, ageMs: number) => void;
}

/** Events kept of one session; a busy one must not push out all others. */
const tailMax = 256;
/** What an event, and a session's tail, cost beside the texts. */
const eventOverhead = 160;
const tailOverhead = 200;

function sizeOf(events: readonly EventOut[]): number {
  let bytes = 0;
  for (const { json } of events) bytes += json.length + eventOverhead;
  return bytes;
}

/**
 * Reading any range of any session: recent events from memory, an LRU bounded in bytes; the rest from PostgreSQL; what
 * is not there any more from the archive, and into memory as a whole. Only the thread that owns a session reads here,
 * after its commits, so memory and table never contradict each other; the archive holds what the table held.
 */
export class TieredHistory implements History {
  readonly #reader: Reader;
  readonly #hot: LRUCache<string, Tail>;
  readonly #cold: ColdTier | undefined;
  /** Reads by the tier that answered. */
  readonly reads = { hot: 0, warm: 0, cold: 0 };
  readonly #observer: HistoryObserver | undefined;

  constructor(reader: Reader, hotBytes: number, cold?: ColdTier, observer?: HistoryObserver) {
    this.#reader = reader;
    this.#cold = cold;
    this.#observer = observer;
    this.#hot = new LRUCache({ maxSize: Math.max(1, hotBytes), sizeCalculation: (tail) => tail.bytes });
  }

  get hotBytes(): number {
    return this.#hot.calculatedSize;
  }

  keep(session: string, events: readonly EventOut[]): void {
    const old = this.#hot.get(session);
    const first = events[0]!;
    const last = old?.events.at(-1);
    if (old === undefined || last?.seq !== first.seq - 1) return this.#keep(session, [...events]);
    for (const event of events) old.events.push(event);
    // Cut by halves: shifting one off for each one added would copy the array each time.
    if (old.events.length > tailMax) return this.#keep(session, old.events.slice(-tailMax / 2));
    this.#hot.set(session, { events: old.events, bytes: old.bytes + sizeOf(events) });
  }

  #keep(session: string, events: EventOut[]): void {
    this.#hot.set(session, { events, bytes: tailOverhead + sizeOf(events) });
  }

  /** What is known of a session is not so any more: it was erased. */
  forget(session: string): void {
    this.#hot.delete(session);
  }

  range(
    session: string,
    after: number,
    upTo: number,
    limit: number,
  ): readonly EventOut[] | Promise<readonly EventOut[]> {
    const last = Math.min(upTo, after + limit);
    const startMs = this.#observer?.clock.nowMs() ?? 0;
    const hot = this.#hot.get(session)?.events;
    const first = hot?.[0];
    if (hot !== undefined && first !== undefined && first.seq <= after + 1 && hot.at(-1)!.seq >= last) {
      return this.#observed('hot', hot.slice(after + 1 - first.seq, last + 1 - first.seq), startMs);
    }
    return this.#read(session, after, last, startMs);
  }

  #observed(tier: Tier, events: readonly EventOut[], startMs: number): readonly EventOut[] {
    this.reads[tier] += 1;
    const [first] = events;
    if (this.#observer === undefined || first === undefined) return events;
    const { clock, read } = this.#observer;
    let bytes = 0;
    for (const { json } of events) bytes += json.length;
    read(tier, bytes, clock.nowMs() - startMs, clock.wallMs() - first.at);
    return events;
  }

  async #read(session: string, after: number, last: number, startMs: number): Promise<readonly EventOut[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ seq: number; data: string }[]>`
        select seq, data::text as data from events
        where session = ${session}::uuid and seq > ${after} and seq <= ${last} order by seq`,
    );
    const warm = rows.map((row) => storedEvent(row.seq, row.data));
    if (warm.length >= last - after || this.#cold === undefined) return this.#observed('warm', warm, startMs);
    // What is missing was moved: all of a session's first events together, in the transaction that took them from here.
    const cold = await this.#cold.events(session);
    const upTo = warm[0]?.seq ?? last + 1;
    const found = (cold ?? []).filter(({ seq }) => seq > after && seq < upTo).concat(warm);
    if (found.length < last - after)
      throw new KefuError(
        'internal',
        `events ${after + 1} to ${last} of session ${session} are not complete`,
      );
    if (cold !== undefined && this.#hot.peek(session) === undefined) this.#keep(session, [...cold]);
    return this.#observed('cold', found, startMs);
  }

  async messageIds(
    session: string,
    isClosed: boolean,
    each: (seq: number, sender: string, id: string) => void,
  ): Promise<void> {
    const page = 5000;
    const cold = (isClosed ? await this.#cold?.events(session) : undefined) ?? [];
    for (const { seq, type, sender, id } of cold) if (type === 'message') each(seq, sender, id);
    for (let after = cold.at(-1)?.seq ?? 0; ;) {
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
