/**
 * A first-in first-out ring of pairs, a message and what goes with it (its reply; its timer), side by side in one
 * array so that a message waiting costs no object. It starts with no array, doubles up to `max` pairs and gives a
 * burst's memory back when it empties.
 */
export class Mailbox<Tag> {
  readonly max: number;
  /** What came with the message that `shift` returned last. */
  tag: Tag | undefined = undefined;
  size = 0;
  #ring: unknown[] = [];
  /** Index of the oldest pair in the array; a multiple of two. */
  #head = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** False when it is full: the caller must answer for the message. */
  push(message: unknown, tag: Tag | undefined): boolean {
    if (this.size >= this.max) return false;
    if (this.size * 2 === this.#ring.length) this.#grow();
    const ring = this.#ring;
    const at = (this.#head + this.size * 2) & (ring.length - 1);
    ring[at] = message;
    ring[at + 1] = tag;
    this.size += 1;
    return true;
  }

  /** The oldest message, its companion left in `tag`. Only to be called when `size` is not 0. */
  shift(): unknown {
    const ring = this.#ring;
    const at = this.#head;
    const message = ring[at];
    this.tag = ring[at + 1] as Tag | undefined;
    ring[at] = undefined;
    ring[at + 1] = undefined;
    this.#head = (at + 2) & (ring.length - 1);
    this.size -= 1;
    if (this.size === 0 && ring.length > keptLength) this.clear();
    return message;
  }

  clear(): void {
    this.#ring = [];
    this.#head = 0;
    this.size = 0;
  }

  #grow(): void {
    const old = this.#ring;
    const ring = new Array<unknown>(Math.max(firstLength, old.length * 2)).fill(undefined);
    for (let index = 0; index < this.size * 2; index += 1) {
      ring[index] = old[(this.#head + index) & (old.length - 1)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}

/** Array slots, two a message. An emptied ring is kept up to 64 messages: an active actor should not allocate. */
const firstLength = 8;
const keptLength = 128;
