import { hash32 } from '../core/ids.ts';

/**
 * Which ids a session's messages bore, so that a repeat is known however old it is, at 8 to 16 bytes a message: an
 * open hash table of (hash of sender and id, seq). A hit is only a hint: the caller compares with the event itself,
 * which also makes entries of messages that were never committed harmless.
 */
export class MessageIds {
  #table = empty;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** `hash`: that of the sender and the id, `idHash`. */
  add(hash: number, seq: number): void {
    if ((this.#size + 1) * 4 > this.#table.length) this.#grow();
    this.#insert(hash, seq);
    this.#size += 1;
  }

  /** The places where a message of this id may stand; undefined means certainly new. */
  find(hash: number): number[] | undefined {
    const table = this.#table;
    if (table.length === 0) return undefined;
    const mask = table.length / 2 - 1;
    let found: number[] | undefined;
    for (let slot = hash & mask; table[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      if (table[slot * 2] === hash) (found ??= []).push(table[slot * 2 + 1]!);
    }
    return found;
  }

  #insert(hash: number, seq: number): void {
    const table = this.#table;
    const mask = table.length / 2 - 1;
    let slot = hash & mask;
    while (table[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
    table[slot * 2] = hash;
    table[slot * 2 + 1] = seq;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(Math.max(16, old.length * 2));
    for (let index = 0; index < old.length; index += 2) {
      if (old[index + 1] !== 0) this.#insert(old[index]!, old[index + 1]!);
    }
  }
}

/** Of all sessions in which nothing was said yet. */
const empty = new Uint32Array(0);

/** Made once a message: with every character looked at, it costs more than the table. */
export function idHash(sender: string, id: string): number {
  return hash32(id, hash32(sender));
}
