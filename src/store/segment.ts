import { createHash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { KefuError } from '../core/errors.ts';
import { packSession, unpackSession } from './segment-text.ts';

/**
 * Segments: objects that hold many sessions, each compressed by itself, so that one is read by one ranged read.
 *
 *     magic · block of a session … · dictionary … · index · footer
 *
 * docs/archive-format.md describes it byte by byte. A block says which dictionary it needs, and nothing else of the
 * segment: it can be copied into another one as it is.
 */
export interface SegmentEntry {
  readonly session: string;
  /** Bytes from the object's beginning, and how many. */
  readonly place: number;
  readonly length: number;
  /** It holds the events 1 to this. */
  readonly lastSeq: number;
  /** The first eight bytes of the block's SHA-256, in hexadecimal. */
  readonly checksum: string;
}

/** What makes small texts of one kind small: up to 64 kB of such text. */
export interface Dictionary {
  /** The first eight bytes of its SHA-256, in hexadecimal. */
  readonly id: string;
  readonly data: Uint8Array;
}

/** A dictionary by its id; undefined when it is not known. */
export type Dictionaries = (id: string) => Dictionary | undefined;

/** A segment or a block that is not what was written; the message says what and where. */
export class BrokenSegment extends KefuError {
  constructor(message: string) {
    super('internal', message);
  }
}

export const magic = Buffer.from('kefuseg1', 'latin1');
const endMagic = Buffer.from('kefuend1', 'latin1');
export const footerBytes = 64;
export const dictionaryBytesMax = 64 * 1024;
/** A block above this is not what any session makes. */
const blockBytesMax = 64 * 2 ** 20;
const textBytesMax = 512 * 2 ** 20;
const level = { params: { [constants.ZSTD_c_compressionLevel]: 6 } };
const noDictionary = '0000000000000000';
const kindPacked = 1;
const kindPlain = 2;

export function checksumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** Of a session's events, to compare what was read with what was written. */
export function digestOf(events: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of events) hash.update(`${text.length}:`).update(text);
  return hash.digest('hex');
}

export function dictionaryOf(data: Uint8Array): Dictionary {
  return { id: checksumOf(data), data };
}

/** A dictionary from sessions like those to come; undefined when they are too few to learn from. */
export function learnDictionary(
  sessions: Iterable<readonly [id: string, events: readonly string[]]>,
): Dictionary | undefined {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for (const [id, events] of sessions) {
    const piece = Buffer.from(packSession(id, events)?.text ?? '');
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= dictionaryBytesMax)
      return dictionaryOf(Buffer.concat(pieces).subarray(0, dictionaryBytesMax));
  }
  return undefined;
}

/**
 * A session's events as a block: kind (1 byte), dictionary (8), length of the ids (4, little endian), the ids, the text as
 * a zstd frame. The texts come back byte for byte; what can't be packed is kept plain.
 */
export function encodeBlock(
  session: string,
  events: readonly string[],
  dictionary: Dictionary | undefined,
): Uint8Array {
  const packed = packSession(session, events);
  const isSafe = packed !== undefined && isSame(unpackSession(session, packed), events);
  const { text, uuids } = isSafe ? packed : { text: JSON.stringify(events), uuids: new Uint8Array() };
  const frame = zstdCompressSync(
    text,
    dictionary === undefined ? level : { ...level, dictionary: dictionary.data },
  );
  const head = Buffer.alloc(13);
  head[0] = isSafe ? kindPacked : kindPlain;
  head.write(dictionary?.id ?? noDictionary, 1, 'hex');
  head.writeUInt32LE(uuids.length, 9);
  return Buffer.concat([head, uuids, frame]);
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/** The dictionary that a block needs; undefined: none. */
export function dictionaryIdOf(block: Uint8Array): string | undefined {
  const id = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('hex', 1, 9);
  return id === noDictionary ? undefined : id;
}

/** A block's events; throws BrokenSegment where it is not what `entry` says. */
export function decodeBlock(entry: SegmentEntry, block: Uint8Array, dictionaries: Dictionaries): string[] {
  const where = `session ${entry.session} at byte ${entry.place}`;
  if (block.length !== entry.length || checksumOf(block) !== entry.checksum)
    throw new BrokenSegment(`${where} is broken: its checksum is another`);
  const id = dictionaryIdOf(block);
  const dictionary = id === undefined ? undefined : dictionaries(id);
  if (id !== undefined && dictionary === undefined)
    throw new BrokenSegment(`${where} needs the dictionary ${id}`);
  try {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    const uuidsEnd = 13 + bytes.readUInt32LE(9);
    const options = { maxOutputLength: textBytesMax, ...(dictionary && { dictionary: dictionary.data }) };
    const text = zstdDecompressSync(bytes.subarray(uuidsEnd), options).toString();
    const events =
      bytes[0] === kindPlain
        ? (JSON.parse(text) as string[])
        : unpackSession(entry.session, { text, uuids: bytes.subarray(13, uuidsEnd) });
    if (events.length !== entry.lastSeq) throw new Error(`${events.length} events, not ${entry.lastSeq}`);
    return events;
  } catch (error) {
    throw new BrokenSegment(`${where} can’t be read: ${(error as Error).message}`);
  }
}

export interface Segment {
  readonly content: Uint8Array;
  readonly entries: readonly SegmentEntry[];
  /** Of the whole content. */
  readonly sha256: string;
}

/** Puts blocks together. */
export class SegmentWriter {
  readonly #blocks: Uint8Array[] = [magic];
  readonly #entries: SegmentEntry[] = [];
  readonly #dictionaries = new Map<string, Dictionary>();
  bytes = magic.length;

  get sessions(): number {
    return this.#entries.length;
  }

  /** `dictionaries` must know what the block needs: a segment holds all that it takes to read it. */
  add(session: string, block: Uint8Array, lastSeq: number, dictionaries: Dictionaries): void {
    if (block.length > blockBytesMax)
      throw new Error(`session ${session} makes a block of ${block.length} bytes`);
    const id = dictionaryIdOf(block);
    if (id !== undefined && !this.#dictionaries.has(id)) {
      const dictionary = dictionaries(id);
      if (dictionary === undefined) throw new BrokenSegment(`session ${session} needs the dictionary ${id}`);
      this.#dictionaries.set(id, dictionary);
    }
    const checksum = checksumOf(block);
    this.#entries.push({ session, place: this.bytes, length: block.length, lastSeq, checksum });
    this.#blocks.push(block);
    this.bytes += block.length;
  }

  finish(): Segment {
    const dictionaries: (readonly [id: string, place: number, length: number])[] = [];
    for (const { id, data } of this.#dictionaries.values()) {
      dictionaries.push([id, this.bytes, data.length]);
      this.#blocks.push(data);
      this.bytes += data.length;
    }
    const sessions = this.#entries.map((it) => [it.session, it.place, it.length, it.lastSeq, it.checksum]);
    const index = zstdCompressSync(JSON.stringify({ version: 1, dictionaries, sessions }), level);
    const body = Buffer.concat([...this.#blocks, index]);
    const footer = Buffer.alloc(footerBytes);
    footer.writeBigUInt64LE(BigInt(this.bytes), 0);
    footer.writeUInt32LE(index.length, 8);
    footer.writeUInt32LE(this.#entries.length, 12);
    footer.write(checksumOf(index), 16, 'hex');
    createHash('sha256').update(body).digest().copy(footer, 24);
    endMagic.copy(footer, 56);
    const content = Buffer.concat([body, footer]);
    return { content, entries: this.#entries, sha256: createHash('sha256').update(content).digest('hex') };
  }
}

export interface SegmentIndex {
  readonly entries: readonly SegmentEntry[];
  readonly dictionaries: readonly { readonly id: string; readonly place: number; readonly length: number }[];
}

/** Where the index is; throws BrokenSegment. `size` is the whole object's. */
export function readFooter(
  footer: Uint8Array,
  size: number,
): { place: number; length: number; checksum: string; body: string } {
  const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
  if (bytes.length !== footerBytes || !bytes.subarray(56).equals(endMagic))
    throw new BrokenSegment(`its footer, at byte ${Math.max(0, size - footerBytes)}, is not a segment’s`);
  const place = Number(bytes.readBigUInt64LE(0));
  const length = bytes.readUInt32LE(8);
  if (place + length + footerBytes !== size) throw new BrokenSegment('its footer does not fit its size');
  return { place, length, checksum: bytes.toString('hex', 16, 24), body: bytes.toString('hex', 24, 56) };
}

/** Throws BrokenSegment. */
export function readIndex(
  index: Uint8Array,
  { place, checksum }: { place: number; checksum: string },
): SegmentIndex {
  if (checksumOf(index) !== checksum) throw new BrokenSegment(`its index, at byte ${place}, is broken`);
  const text = zstdDecompressSync(index, { maxOutputLength: textBytesMax }).toString();
  const { version, dictionaries, sessions } = JSON.parse(text) as {
    version: number;
    dictionaries: [string, number, number][];
    sessions: [string, number, number, number, string][];
  };
  if (version !== 1) throw new BrokenSegment(`it is of version ${version}, which this kefu does not know`);
  return {
    dictionaries: dictionaries.map(([id, at, length]) => ({ id, place: at, length })),
    entries: sessions.map(([session, at, length, lastSeq, sum]) => ({
      session,
      place: at,
      length,
      lastSeq,
      checksum: sum,
    })),
  };
}

export interface Inspection {
  /** Sessions that can be read, with their events. */
  readonly sound: number;
  /** What is broken, with its place. */
  readonly problems: readonly string[];
}

/** Reads a whole segment, and tells everything that is broken in it; `each` gets what is sound. */
export function inspectSegment(
  content: Uint8Array,
  each: (entry: SegmentEntry, events: readonly string[]) => void = () => undefined,
): Inspection {
  const problems: string[] = [];
  let sound = 0;
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push((error as Error).message);
    }
  };
  attempt(() => {
    if (!magic.equals(content.subarray(0, magic.length)))
      problems.push('its head, at byte 0, is not a segment’s');
    const footer = readFooter(content.subarray(-footerBytes), content.length);
    const body = createHash('sha256').update(content.subarray(0, -footerBytes)).digest('hex');
    const isWhole = body === footer.body;
    const index = readIndex(content.subarray(footer.place, footer.place + footer.length), footer);
    const dictionaries = new Map<string, Dictionary>();
    for (const { id, place, length } of index.dictionaries) {
      const dictionary = dictionaryOf(content.subarray(place, place + length));
      if (dictionary.id === id) dictionaries.set(id, dictionary);
      else problems.push(`dictionary ${id} at byte ${place} is broken`);
    }
    for (const entry of index.entries)
      attempt(() => {
        const block = content.subarray(entry.place, entry.place + entry.length);
        each(
          entry,
          decodeBlock(entry, block, (id) => dictionaries.get(id)),
        );
        sound += 1;
      });
    if (!isWhole && problems.length === 0)
      problems.push('its checksum is another, though all of its parts are sound');
  });
  return { sound, problems };
}
