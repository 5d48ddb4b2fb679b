import type { Frame } from '../support/client.ts';
import { holdingFaults } from './holding.ts';

/**
 * What everybody was told, to be compared with what the nodes' histories say. A token is what a client chose to know
 * its own deed by: a message's id, the note of a transfer, the reason of a close.
 */
export class Ledger {
  readonly books = new Map<string, Book>();
  readonly violations: string[] = [];
  acks = 0;
  refusals = 0;

  book(session: string): Book {
    let book = this.books.get(session);
    if (book === undefined) this.books.set(session, (book = new Book(session, (text) => this.accuse(text))));
    return book;
  }

  accuse(text: string): void {
    if (this.violations.length < 50) this.violations.push(text);
  }

  /** A frame that some connection was sent. */
  saw(frame: Frame): void {
    const { t, session, seq, id } = frame as { t: string; session: string; seq: number; id?: string };
    if ((t === 'event' || t === 'ack') && id !== undefined) this.book(session).saw(seq, id);
  }

  /** For as long as nobody holds more than so many at once, in the time that the events bear. */
  checkHolding(capacity: number): void {
    const logs = [...this.books.values()].map(({ log }) => log);
    for (const fault of holdingFaults(logs, capacity)) this.accuse(fault);
  }
}

/** 'refused': each time, and never asked again. 'unknown': as long as it is not settled, and when nobody ever said. */
type Ending = 'unknown' | 'refused' | 'done';
interface Deed {
  readonly by: string;
  ending: Ending;
  /** 0: not told. */
  seq: number;
}

/** One session's part of it. */
export class Book {
  readonly session: string;
  /** The longest history that a node has shown. */
  log: readonly Frame[] = [];
  readonly #accuse: (text: string) => void;
  readonly #deeds = new Map<string, Deed>();
  readonly #seen = new Map<number, string>();
  #texts: readonly string[] = [];

  constructor(session: string, accuse: (text: string) => void) {
    this.session = session;
    this.#accuse = (text) => accuse(`${session}: ${text}`);
  }

  begin(token: string, by: string): void {
    if (!this.#deeds.has(token)) this.#deeds.set(token, { by, ending: 'unknown', seq: 0 });
  }

  /** `seq` is 0 where it is not told. */
  done(token: string, seq: number): void {
    const deed = this.#deeds.get(token)!;
    if (deed.seq !== 0 && seq !== 0 && deed.seq !== seq)
      this.#accuse(`${token} was acked at ${deed.seq} and at ${seq}`);
    deed.ending = 'done';
    if (seq !== 0) deed.seq = seq;
  }

  /** Every time that it was asked, and it is not asked again. */
  refused(token: string): void {
    this.#deeds.get(token)!.ending = 'refused';
  }

  saw(seq: number, id: string): void {
    const before = this.#seen.get(seq) ?? id;
    if (before !== id) this.#accuse(`${seq} was ${before} for one and ${id} for another`);
    this.#seen.set(seq, id);
  }

  /** What has been told until now, and so must be in every history that is asked for from now on. */
  told(): Told {
    const done = [...this.#deeds].filter(([, deed]) => deed.ending === 'done');
    return { done: done.map(([token, { seq }]) => [token, seq]), head: Math.max(0, ...this.#seen.keys()) };
  }

  /** A whole history, as `where` shows it, asked for after `told`. */
  check(events: readonly Frame[], where: string, told: Told): void {
    const places = new Map<string, number>();
    for (const [at, event] of events.entries()) {
      if (event.seq !== at + 1) this.#accuse(`${where} has ${event.seq} in place ${at + 1}`);
      const token = tokenOf(event);
      if (token === undefined) continue;
      if (places.has(token))
        this.#accuse(`${where} has ${token} at ${places.get(token)} and at ${event.seq}`);
      places.set(token, event.seq);
    }
    if (events.length < told.head)
      this.#accuse(`${where} ends at ${events.length}, ${told.head} was seen before`);
    for (const [token, seq] of told.done) {
      const place = places.get(token);
      if (place === undefined || (seq !== 0 && place !== seq))
        this.#accuse(`${token} was acked at ${seq} and is at ${place} of ${events.length} at ${where}`);
    }
    for (const [token, { ending }] of this.#deeds)
      if (ending === 'refused' && places.has(token)) this.#accuse(`${token} was refused and is there`);
    for (const [seq, id] of this.#seen) {
      const event = events[seq - 1];
      if (event !== undefined && event.id !== id)
        this.#accuse(`${seq} was seen as ${id} and is ${event.id} at ${where}`);
    }
    this.#keep(events, where);
  }

  /** All nodes show the same. */
  #keep(events: readonly Frame[], where: string): void {
    const texts = events.map((event) => JSON.stringify(event));
    const both = Math.min(texts.length, this.#texts.length);
    for (let at = 0; at < both; at += 1)
      if (texts[at] !== this.#texts[at]) {
        this.#accuse(`${where} shows ${texts[at]}, another ${this.#texts[at]}`);
        break;
      }
    if (texts.length < this.#texts.length) return;
    this.#texts = texts;
    this.log = events;
  }
}

export interface Told {
  readonly done: readonly (readonly [token: string, seq: number])[];
  readonly head: number;
}

function tokenOf(event: Frame): string | undefined {
  const { type, id, text, reason } = event as { type: string; id: string; text: string; reason: string };
  if (type === 'message') return id;
  if (type === 'note') return text;
  return type === 'closed' ? reason : undefined;
}
