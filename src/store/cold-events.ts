import { storedEvent } from '../actors/session-events.ts';
import { KefuError } from '../core/errors.ts';
import type { EventOut } from '../protocol/session-view.ts';
import type { Reader } from './database.ts';
import type { ObjectStore } from './object-store.ts';
import { BrokenSegment, type SegmentEntry } from './segment.ts';
import { readSession, type ArchiveDictionaries } from './segment-store.ts';

/** Where a session's events 1 to `lastSeq` are. */
export interface ColdPlace extends SegmentEntry {
  readonly object: string;
}

export interface ColdEventsOptions {
  readonly reader: Reader;
  readonly store: ObjectStore;
  readonly dictionaries: ArchiveDictionaries;
  /** Sessions read at once by this thread; more are `busy`. */
  readonly readsMax: number;
  /** Bytes that were read from the store. */
  readonly observe?: (bytes: number) => void;
}

/**
 * The cold tier: sessions whose events are in the archive. One ranged read a session, whoever asks for it meanwhile
 * waits for the same one; what it gives is kept by the caller.
 */
export class ColdEvents {
  readonly #options: ColdEventsOptions;
  readonly #reading = new Map<string, Promise<readonly EventOut[] | undefined>>();

  constructor(options: ColdEventsOptions) {
    this.#options = options;
  }

  /** All of its events that are in the archive, from 1 on; undefined when it is not there. */
  events(session: string): Promise<readonly EventOut[] | undefined> {
    const reading = this.#reading.get(session);
    if (reading !== undefined) return reading;
    if (this.#reading.size >= this.#options.readsMax)
      return Promise.reject(
        new KefuError('busy', 'too many old sessions are being read; try again', { retryAfterMs: 500 }),
      );
    const read = this.#read(session).finally(() => this.#reading.delete(session));
    this.#reading.set(session, read);
    return read;
  }

  async #read(session: string): Promise<readonly EventOut[] | undefined> {
    const place = await this.place(session);
    if (place === undefined) return undefined;
    try {
      return await this.#readAt(place);
    } catch (error) {
      const isGone = error instanceof KefuError && error.code === 'not_found';
      // A bit that was flipped on the way is another one, or none, at the next time.
      if (!isGone && !(error instanceof BrokenSegment)) throw error;
      if (!isGone) return this.#readAt(place);
    }
    // Its segment was written anew between the two: it is somewhere else by now.
    const now = await this.place(session);
    if (now === undefined) return undefined;
    if (now.object === place.object)
      throw new KefuError('unavailable', 'this session’s part of the archive is missing', {
        retryAfterMs: 5000,
      });
    return this.#readAt(now);
  }

  async #readAt(place: ColdPlace): Promise<readonly EventOut[]> {
    const { store, dictionaries, observe } = this.#options;
    const texts = await readSession(store, dictionaries, place.object, place);
    const events = texts.map((json, index) => storedEvent(index + 1, json));
    observe?.(place.length);
    return events;
  }

  async place(session: string): Promise<ColdPlace | undefined> {
    const [row] = await this.#options.reader.query(
      (sql) => sql<{ object: string; place: string; length: number; last_seq: number; checksum: string }[]>`
        select s.object, c.place, c.length, c.last_seq, c.checksum
        from cold c join segments s on s.id = c.segment where c.session = ${session}::uuid`,
    );
    if (row === undefined) return undefined;
    const { object, place, length, checksum } = row;
    return { session, object, place: Number(place), length, lastSeq: row.last_seq, checksum };
  }
}
