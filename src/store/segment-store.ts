import { LRUCache } from 'lru-cache';
import { KefuError } from '../core/errors.ts';
import type { Reader } from './database.ts';
import type { ObjectStore } from './object-store.ts';
import {
  BrokenSegment,
  checksumOf,
  decodeBlock,
  dictionaryIdOf,
  dictionaryOf,
  footerBytes,
  readFooter,
  readIndex,
  type Dictionary,
  type SegmentEntry,
} from './segment.ts';

/** Dictionaries kept in memory: there is one a few months. */
const dictionariesMax = 16;

/** The dictionaries of blocks, which stand in the database as well as in every segment that needs them. */
export class ArchiveDictionaries {
  readonly #reader: Reader;
  readonly #known = new LRUCache<string, Dictionary>({ max: dictionariesMax });

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** From the database; should it not be there, from `segment`, which needs it and so holds it. */
  async get(
    id: string,
    segment?: { readonly store: ObjectStore; readonly object: string },
  ): Promise<Dictionary> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const dictionary =
      (await this.#stored(id)) ?? (segment && (await dictionaryIn(segment.store, segment.object, id)));
    if (dictionary?.id !== id) throw new BrokenSegment(`the dictionary ${id} is nowhere to be found`);
    this.#known.set(id, dictionary);
    return dictionary;
  }

  /** Undefined where it is nowhere, or broken. Rejects where the database or the store can't tell. */
  async find(
    id: string,
    segment: { readonly store: ObjectStore; readonly object: string },
  ): Promise<Dictionary | undefined> {
    try {
      return await this.get(id, segment);
    } catch (error) {
      if (isLost(error)) return undefined;
      throw error;
    }
  }

  async #stored(id: string): Promise<Dictionary | undefined> {
    const [row] = await this.#reader.query(
      (sql) => sql<{ data: string }[]>`
        select encode(data, 'base64') as data from archive_dictionaries where id = ${id}`,
    );
    return row === undefined ? undefined : dictionaryOf(Buffer.from(row.data, 'base64'));
  }

  /** The newest one that was made after `sinceMs`. */
  async newest(sinceMs: number): Promise<Dictionary | undefined> {
    const [row] = await this.#reader.query(
      (sql) => sql<{ id: string }[]>`
        select id from archive_dictionaries where made_at >= ${sinceMs} order by made_at desc limit 1`,
    );
    return row === undefined ? undefined : this.get(row.id);
  }

  async add({ id, data }: Dictionary, wallMs: number): Promise<void> {
    const text = Buffer.from(data).toString('base64');
    await this.#reader.query(
      (sql) => sql`insert into archive_dictionaries values (${id}, decode(${text}, 'base64'), ${wallMs})
        on conflict do nothing`,
    );
  }
}

/** What was written is not there, or not what was written; everything else may be tried again. */
export function isLost(error: unknown): boolean {
  if (error instanceof BrokenSegment) return true;
  return error instanceof KefuError && (error.code === 'not_found' || error.code === 'too_large');
}

/** One session's events, by one ranged read. Broken bytes are never given out: they are a BrokenSegment. */
export async function readSession(
  store: ObjectStore,
  dictionaries: ArchiveDictionaries,
  object: string,
  entry: SegmentEntry,
): Promise<string[]> {
  const { stream } = await store.get(object, { offset: entry.place, length: entry.length });
  const block = await bytesOf(stream, entry.length);
  // A broken block names no dictionary: what is wrong with it, and where, is told by decodeBlock.
  const isSound = block.length === entry.length && checksumOf(block) === entry.checksum;
  const id = isSound ? dictionaryIdOf(block) : undefined;
  const dictionary = id === undefined ? undefined : await dictionaries.get(id, { store, object });
  return decodeBlock(entry, block, () => dictionary);
}

/** A dictionary out of a segment, by way of its footer and index; undefined when it is not there. */
async function dictionaryIn(store: ObjectStore, object: string, id: string): Promise<Dictionary | undefined> {
  const size = (await store.head(object))?.size ?? 0;
  const read = async (offset: number, length: number): Promise<Uint8Array> =>
    bytesOf((await store.get(object, { offset, length })).stream, length);
  const footer = readFooter(await read(Math.max(0, size - footerBytes), footerBytes), size);
  const { dictionaries } = readIndex(await read(footer.place, footer.length), footer);
  const found = dictionaries.find((dictionary) => dictionary.id === id);
  return found && dictionaryOf(await read(found.place, found.length));
}

/** A whole object; `too_large` beyond `maxBytes`. */
export async function readWhole(store: ObjectStore, object: string, maxBytes: number): Promise<Uint8Array> {
  const { size, stream } = await store.get(object);
  if (size > maxBytes) {
    stream.destroy();
    throw new KefuError('too_large', `${object} has ${size} bytes, more than a segment has`);
  }
  return bytesOf(stream, size);
}

async function bytesOf(stream: AsyncIterable<Uint8Array>, max: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.length;
    if (bytes > max) throw new BrokenSegment(`the object store gave more than ${max} bytes`);
    pieces.push(piece);
  }
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}
