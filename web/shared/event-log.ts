import type { ChatEvent } from './protocol.ts';

/**
 * The part of one session's log that this page holds. Live events arrive at `head`, history at `first`; anything in
 * between that has not come yet is a gap. Only first…head is shown, so nobody ever reads a log with a hole in it.
 */
export class EventLog {
  /** Everything up to and including it has been seen, or lies before what this page asked for. */
  head: number;
  /** The lowest seq from which there is no hole up to `head`; head + 1 when nothing is held. */
  first: number;
  readonly #events = new Map<number, ChatEvent>();
  #highest: number;

  constructor(base = 0) {
    this.head = base;
    this.first = base + 1;
    this.#highest = base;
  }

  get(seq: number): ChatEvent | undefined {
    return this.#events.get(seq);
  }

  /** Returns the events that became readable at the head, in order: what evolves the session's state. */
  add(event: ChatEvent): ChatEvent[] {
    if (event.seq < 1 || this.#events.has(event.seq)) return [];
    this.#events.set(event.seq, event);
    this.#highest = Math.max(this.#highest, event.seq);
    while (this.#events.has(this.first - 1)) this.first -= 1;
    const risen: ChatEvent[] = [];
    for (let next = this.#events.get(this.head + 1); next; next = this.#events.get(this.head + 1)) {
      this.head += 1;
      risen.push(next);
    }
    return risen;
  }

  /**
   * Takes one answer to `history`. A seq that the server left out of a range it answered is one that this reader may
   * not see; it is counted, or the gap would be asked for without end.
   */
  addPage(events: readonly ChatEvent[], before: number, more: boolean, session: string): ChatEvent[] {
    const lowest = more ? Math.min(before, ...events.map((event) => event.seq)) : 1;
    const risen: ChatEvent[] = [];
    const bySeq = new Map(events.map((event) => [event.seq, event]));
    for (let seq = Math.max(1, lowest); seq < before; seq += 1) {
      risen.push(...this.add(bySeq.get(seq) ?? { session, seq, type: 'hidden' }));
    }
    return risen;
  }

  /** The hole to be asked for next: the events after `head` and before `before`. */
  gap(lastSeq: number): { before: number; count: number } | null {
    if (Math.max(this.#highest, lastSeq) <= this.head) return null;
    let before = this.head + 1;
    const end = Math.max(this.#highest, lastSeq);
    while (before <= end && !this.#events.has(before)) before += 1;
    return { before, count: before - this.head - 1 };
  }

  /** Frees the oldest events; they come back from history when somebody scrolls up. */
  trimTo(keep: number): void {
    const first = Math.max(this.first, this.head - keep + 1);
    for (let seq = this.first; seq < first; seq += 1) this.#events.delete(seq);
    this.first = first;
  }

  reset(): void {
    this.#events.clear();
    this.head = 0;
    this.first = 1;
    this.#highest = 0;
  }
}
