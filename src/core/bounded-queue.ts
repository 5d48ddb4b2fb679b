/**
 * A first-in first-out queue over a ring that doubles up to a maximum and shrinks when it empties, so that one
 * burst does not keep its memory. `push` returns false when the queue is full: the caller must answer for it.
 */
export class BoundedQueue<T> {
  readonly max: number;
  #ring: (T | undefined)[];
  #head = 0;
  #size = 0;

  constructor(max: number) {
    this.max = max;
    this.#ring = [];
  }

  get size(): number {
    return this.#size;
  }

  push(item: T): boolean {
    if (this.#size >= this.max) return false;
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item;
    this.#size += 1;
    return true;
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size -= 1;
    if (this.#size === 0 && this.#ring.length > 64) {
      this.#ring = [];
      this.#head = 0;
    }
    return item;
  }

  #grow(): void {
    const length = Math.max(4, this.#ring.length * 2);
    const ring = new Array<T | undefined>(length);
    for (let index = 0; index < this.#size; index += 1) {
      ring[index] = this.#ring[(this.#head + index) & (this.#ring.length - 1)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}
