import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import {
  abandonSegments,
  ArchiveLost,
  dropEmptyPartitions,
  dueSessions,
  fenced,
  inGroups,
  monthsBefore,
  moveToCold,
  warmEvents,
  type DueSession,
  type Moved,
} from './archive-sql.ts';
import type { ColdEvents } from './cold-events.ts';
import type { Sql } from './database.ts';
import type { Term } from './journal-terms.ts';
import type { ObjectStore } from './object-store.ts';
import type { SegmentPool, SessionTexts } from './segment-pool.ts';
import { publishSegment, type PublishStep } from './segment-publish.ts';
import type { ArchiveDictionaries } from './segment-store.ts';
import { learnDictionary, SegmentWriter, type Dictionary } from './segment.ts';

export interface ArchiverOptions {
  /** A pool of its own: long queries must not stand in the way of others. */
  readonly sql: Sql;
  readonly store: ObjectStore;
  readonly dictionaries: ArchiveDictionaries;
  /** Of sessions that came back: their part that is in the archive already. */
  readonly cold: ColdEvents;
  readonly pool: SegmentPool;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** A session moves when it has been closed for so long. */
  readonly afterMs: number;
  /** Bytes of a segment, about. */
  readonly segmentBytes: number;
  /** Events moved a second, at most; Infinity: as fast as it goes. */
  readonly eventsPerSecond: number;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  readonly observe: (what: 'segments' | 'sessions' | 'events' | 'bytes' | 'raw', count: number) => void;
  /** A test's way to look in, or to die, between two steps. */
  readonly step?: (name: Step) => void | Promise<void>;
}

export type Step = 'begun' | PublishStep | 'moved';

interface Built {
  readonly id: string;
  readonly object: string;
  readonly moved: readonly Moved[];
  readonly events: number;
}

/** Sessions looked for, and read at a time, and events that are compressed together; more would hold up the thread's chats. */
const dueMax = 200;
const readSessions = 5;
const batchEvents = 200;
/** Sessions whose events leave the table in one transaction: a chat's commit may have to wait for it. */
const moveSessions = 25;
const dictionaryAgeMs = 90 * 24 * 3_600_000;
/** Sessions that could not be archived are left alone until the next start; more than this would be no accident. */
const brokenMax = 1000;

/**
 * Moves old sessions from PostgreSQL to segments in object storage. One at a time in the cluster: whoever owns the
 * archive's shard; each change holds that shard's row under its term.
 *
 *     row `writing` → object written → read back, each event compared → row `ready` → sessions move, some at a time
 *
 * A crash before `ready` leaves an object that nobody points at, which the next one deletes; after it, sessions that
 * are still whole in the table and go into another segment. No event is ever in neither.
 */
export class Archiver {
  readonly #options: ArchiverOptions;
  readonly #term: Term;
  readonly #broken = new Set<string>();
  #stopped = false;

  constructor(options: ArchiverOptions, term: Term) {
    this.#options = options;
    this.#term = term;
  }

  /** Ends as soon as it can; what it does meanwhile is still whole. */
  stop(): void {
    this.#stopped = true;
  }

  /** Archives all that is due. Rejects where it can't go on now; to be tried again. Returns the sessions moved. */
  async round(): Promise<number> {
    const unswept = await this.#sweep();
    let sessions = 0;
    while (!this.#stopped) {
      const built = await this.#buildSegment();
      if (built === undefined) break;
      sessions += await this.#move(built);
    }
    if (!this.#stopped) await this.#dropMonths();
    if (unswept !== undefined) throw unswept;
    return sessions;
  }

  /** What another began and never ended. A store that deletes nothing may still take something: its error is returned. */
  async #sweep(): Promise<Error | undefined> {
    const { sql, store, log } = this.#options;
    for (const { id, object } of await abandonSegments(sql, this.#term)) {
      try {
        await store.delete(object);
      } catch (error) {
        return error as Error;
      }
      await fenced(
        sql,
        this.#term,
        (it) => it`delete from segments where id = ${id}::uuid and state <> 'ready'`,
      );
      log('warn', `the segment ${object} was never finished: it is deleted, its sessions are archived anew`);
    }
    return undefined;
  }

  async #buildSegment(): Promise<Built | undefined> {
    const { segmentBytes, pool } = this.#options;
    const writer = new SegmentWriter();
    const digests = new Map<string, string>();
    let dictionary: Dictionary | undefined;
    let events = 0;
    let raw = 0;
    let isFirst = true;
    for await (const batch of this.#batches()) {
      if (isFirst) dictionary = await this.#dictionary(batch);
      isFirst = false;
      const startMs = this.#options.clock.nowMs();
      const encoded = await pool.encode(batch, dictionary);
      let count = 0;
      for (const [index, { session, events: texts }] of batch.entries()) {
        const { block, digest, raw: bytes } = encoded[index]!;
        writer.add(session, block, texts.length, () => dictionary);
        digests.set(session, digest);
        count += texts.length;
        raw += bytes;
      }
      events += count;
      await this.#pace(count, startMs);
      if (writer.bytes >= segmentBytes || this.#stopped) break;
    }
    if (writer.sessions === 0 || this.#stopped) return undefined;
    return this.#write(writer, digests, events, raw);
  }

  /** Sessions that are due with all of their events, a few at a time. */
  async *#batches(): AsyncGenerator<SessionTexts[]> {
    const { sql, clock, afterMs } = this.#options;
    const beforeMs = clock.wallMs() - afterMs;
    let after: DueSession | undefined;
    for (;;) {
      const due: DueSession[] = await dueSessions(sql, beforeMs, after, dueMax);
      if (due.length === 0) return;
      after = due.at(-1);
      let batch: SessionTexts[] = [];
      let events = 0;
      for (const group of inGroups(
        due.filter(({ id }) => !this.#broken.has(id)),
        readSessions,
      )) {
        for (const texts of await this.#texts(group.map(({ id }) => id))) {
          batch.push(texts);
          events += texts.events.length;
        }
        if (events < batchEvents) continue;
        yield batch;
        batch = [];
        events = 0;
      }
      if (batch.length > 0) yield batch;
    }
  }

  async #texts(ids: readonly string[]): Promise<SessionTexts[]> {
    const { sql, cold, log, step } = this.#options;
    await step?.('begun');
    const found: SessionTexts[] = [];
    for (const [session, warm] of await warmEvents(sql, ids)) {
      // One that came back: what is in the archive is written again, together with the rest.
      const old = warm[0]?.seq === 1 ? [] : ((await cold.events(session)) ?? []);
      const all = [...old.filter(({ seq }) => seq < (warm[0]?.seq ?? Infinity)), ...warm];
      // Erased meanwhile.
      if (all.length === 0) continue;
      if (all.every(({ seq }, index) => seq === index + 1)) {
        found.push({ session, events: all.map(({ json }) => json) });
        continue;
      }
      log('error', `session ${session} has no whole log: it is not archived`);
      if (this.#broken.size < brokenMax) this.#broken.add(session);
      else throw new Error('too many sessions have no whole log');
    }
    return found;
  }

  /** The one in use, or a new one from these sessions, where there is enough to learn from. */
  async #dictionary(batch: readonly SessionTexts[]): Promise<Dictionary | undefined> {
    const { dictionaries, clock, sql, afterMs } = this.#options;
    const known = await dictionaries.newest(clock.wallMs() - dictionaryAgeMs);
    if (known !== undefined) return known;
    const samples = batch.map(({ session, events }) => [session, events] as const);
    const more = await dueSessions(sql, clock.wallMs() - afterMs, undefined, 4 * dueMax);
    for (const group of inGroups(more.slice(batch.length), 50))
      for (const [session, events] of await warmEvents(
        sql,
        group.map(({ id }) => id),
      ))
        samples.push([session, events.map(({ json }) => json)]);
    const learned = learnDictionary(samples);
    if (learned !== undefined) await dictionaries.add(learned, clock.wallMs());
    return learned;
  }

  async #write(
    writer: SegmentWriter,
    digests: ReadonlyMap<string, string>,
    events: number,
    raw: number,
  ): Promise<Built> {
    const { observe } = this.#options;
    const published = await publishSegment(this.#options, this.#term, writer, { digests, events, raw });
    const { id, object, entries, bytes } = published;
    observe('segments', 1);
    observe('bytes', bytes);
    observe('raw', raw);
    return { id, object, moved: entries, events };
  }

  async #move({ id, object, moved, events }: Built): Promise<number> {
    const { sql, clock, log, step, observe } = this.#options;
    for (const group of inGroups(moved, moveSessions)) {
      const startMs = clock.nowMs();
      const deleted = await retried(() => moveToCold(sql, this.#term, id, group));
      observe('sessions', group.length);
      observe('events', deleted);
      await step?.('moved');
      await this.#pace(deleted, startMs);
    }
    log('info', `${moved.length} sessions with ${events} events are in ${object}`);
    return moved.length;
  }

  /** Waits for as long as it was faster than it may be. */
  async #pace(events: number, startMs: number): Promise<void> {
    const { clock, eventsPerSecond } = this.#options;
    const waitMs = (events / eventsPerSecond) * 1000 - (clock.nowMs() - startMs);
    if (waitMs > 0) await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  }

  async #dropMonths(): Promise<void> {
    const { sql, clock, afterMs, log } = this.#options;
    const months = await monthsBefore(sql, clock.wallMs() - afterMs);
    for (const name of await dropEmptyPartitions(sql, this.#term, months))
      log('info', `${name} is empty: it is dropped`);
  }
}

/** A deadlock with an erasure, or a lock that took too long, is over when it is tried again. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (error instanceof ArchiveLost || attempt >= 3 || !/^(40|55)/.test(code)) throw error;
    }
  }
}
