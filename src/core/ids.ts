import type { Chance, Clock } from './clock.ts';

const hexCodes = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const dash = '-'.charCodeAt(0);
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `value` is an id as the protocol writes it: a UUID in lower-case text. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && uuidPattern.test(value);
}

/** Makes UUIDv7 ids (RFC 9562, 5.7): they sort by the time they were made, also within a millisecond. */
export class IdSource {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #bytes = new Uint8Array(16);
  readonly #codes = new Array<number>(36).fill(0);
  #lastMs = 0;
  #sequence = 0;

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock;
    this.#chance = chance;
  }

  next(): string {
    const bytes = this.#chance.bytes(this.#bytes);
    const now = Math.max(this.#clock.wallMs(), this.#lastMs);
    // The 12 bits after the time count within a millisecond; on overflow the id borrows from the next one.
    this.#sequence = now === this.#lastMs ? this.#sequence + 1 : (bytes[6]! & 0x03) << 8;
    this.#lastMs = now;
    if (this.#sequence > 0xfff) {
      this.#lastMs += 1;
      this.#sequence = 0;
    }
    const ms = this.#lastMs;
    bytes[0] = (ms / 2 ** 40) & 0xff;
    bytes[1] = (ms / 2 ** 32) & 0xff;
    bytes[2] = (ms >>> 24) & 0xff;
    bytes[3] = (ms >>> 16) & 0xff;
    bytes[4] = (ms >>> 8) & 0xff;
    bytes[5] = ms & 0xff;
    bytes[6] = 0x70 | (this.#sequence >>> 8);
    bytes[7] = this.#sequence & 0xff;
    bytes[8] = 0x80 | (bytes[8]! & 0x3f);
    const codes = this.#codes;
    let at = 0;
    for (let index = 0; index < 16; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) codes[at++] = dash;
      const byte = bytes[index]!;
      codes[at++] = hexCodes[byte >>> 4]!;
      codes[at++] = hexCodes[byte & 15]!;
    }
    // One flat string: put together from pieces it would be kept as a tree of them, 400 bytes for each id.
    return String.fromCharCode.apply(null, codes);
  }
}

/** FNV-1a over the UTF-16 units: shards and id tables; the same on every node and version for ever. */
export function hash32(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  // A final mix: FNV's low bits alone spread UUIDs unevenly over a power of two.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}

/** The fixed number of shards of a cluster; stored in PostgreSQL when it is created. */
export const shardCount = 256;

export function shardOf(key: string): number {
  return hash32(key) % shardCount;
}
