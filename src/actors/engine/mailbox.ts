/**
 * First in, first out: pairs of a message and what goes with it (its reply; its timer), side by side in chunks, so
 * that a message waiting costs no object. A mailbox starts with no chunk; its first is for a few messages and stays
 * while it is enough, so that an actor that is told now and then does not allocate. A burst goes on in chunks that all mailboxes
 * of the thread take from one heap of spare ones and give back as they empty. Nothing is ever copied: in a ring that
 * doubles, growing and collecting what was outgrown cost a third of a tell.
 */
export class Mailbox<Tag> {
  readonly max: number;
  /** What came with the message that `shift` returned last. */
  tag: Tag | undefined = undefined;
  size = 0;
  /** The chunk that is being emptied, and the slot of the oldest pair. */
  #first: Chunk = none;
  #head = 0;
  /** The chunk that is being filled, the slot for the next pair, and how many slots it has. */
  #last: Chunk = none;
  #tail = 0;
  #end = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** False when it is full: the caller must answer for the message. */
  push(message: unknown, tag: Tag | undefined): boolean {
    if (this.size >= this.max) return false;
    if (this.#tail === this.#end) this.#grow();
    const chunk = this.#last;
    const at = this.#tail;
    chunk[at] = message;
    chunk[at + 1] = tag;
    this.#tail = at + 2;
    this.size += 1;
    return true;
  }

  /** The oldest message, its companion left in `tag`. Only to be called when `size` is not 0. */
  shift(): unknown {
    const chunk = this.#first;
    const at = this.#head;
    const message = chunk[at];
    this.tag = chunk[at + 1] as Tag | undefined;
    chunk[at] = undefined;
    chunk[at + 1] = undefined;
    this.#head = at + 2;
    this.size -= 1;
    if (this.size === 0) this.#emptied(chunk);
    else if (at + 2 === chunk.length - 1) this.#passed(chunk);
    return message;
  }

  clear(): void {
    this.#first = none;
    this.#last = none;
    this.#head = 0;
    this.#tail = 0;
    this.#end = 0;
    this.size = 0;
  }

  #emptied(chunk: Chunk): void {
    if (chunk.length > firstSlots + 1) {
      spare(chunk);
      this.clear();
    } else {
      this.#head = 0;
      this.#tail = 0;
    }
  }

  /** On to the next chunk. */
  #passed(chunk: Chunk): void {
    const link = chunk.length - 1;
    this.#first = chunk[link] as Chunk;
    this.#head = 0;
    chunk[link] = undefined;
    if (link > firstSlots) spare(chunk);
  }

  #grow(): void {
    const full = this.#last;
    const chunk = full === none ? newChunk(firstSlots) : (spares.pop() ?? newChunk(burstSlots));
    if (full === none) this.#first = chunk;
    else full[full.length - 1] = chunk;
    this.#last = chunk;
    this.#tail = 0;
    this.#end = chunk.length - 1;
  }
}

/** Slots for pairs, and in the last one the next chunk. */
type Chunk = unknown[];
const none: Chunk = [];
/** Slots, two a message: 4 messages, and 64. */
const firstSlots = 8;
const burstSlots = 128;

/** Empty ones, at most 2 MiB of them a thread. Their slots are cleared as they are read, so they hold on to nothing. */
const spares: Chunk[] = [];
const sparesMax = 2048;

function spare(chunk: Chunk): void {
  if (spares.length < sparesMax) spares.push(chunk);
}

function newChunk(slots: number): Chunk {
  return new Array<unknown>(slots + 1).fill(undefined);
}
