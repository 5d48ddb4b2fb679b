import { hash32 } from '../../src/core/ids.ts';
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

  /** What is waited for, and never comes, is a violation. */
  async insist(coming: Promise<unknown>): Promise<void> {
    await coming.catch((error: unknown) => this.accuse(String(error)));
  }

  /** A frame that some connection was sent. */
  saw(frame: Frame): void {
    const { t, session, seq, id } = frame as { t: string; session: string; seq: number; id?: string };
    if ((t === 'event' || t === 'ack') && id !== undefined) this.book(session).saw(seq, id);
  }

  /** Nobody holds more than so many at once, in the time that the events bear; as far as all logs were read after it. */
  checkHolding(capacity: number, endMs: number): void {
    const logs = [...this.books.values()].map(({ log }) => log);
    for (const fault of holdingFaults(logs, capacity, endMs)) this.accuse(fault);
  }
}

/** 'refused': each time, and never asked again. 'unknown': as long as it is not settled, and when nobody ever said. */
type Ending = 'unknown' | 'refused' | 'done';
interface Deed {
  readonly by: string;
  ending: Ending;
  /** 0: not told. */
  seq: number;
  /** How often it was asked. Only messages bear ids by which a repeat is known: a transfer may be done each time. */
  asked: number;
  why?: string;
}

/** One session's part of it. */
export class Book {
  readonly session: string;
  /** The longest history that a node has shown; of a sealed one without its messages. */
  log: readonly Frame[] = [];
  readonly #accuse: (text: string) => void;
  readonly #deeds = new Map<string, Deed>();
  readonly #seen = new Map<number, string>();
  /** Of each event as the first node showed it. */
  readonly #prints: number[] = [];
  #sealed = false;

  constructor(session: string, accuse: (text: string) => void) {
    this.session = session;
    this.#accuse = (text) => accuse(`${session}: ${text}`);
  }

  /** Closed, and shown so by all nodes: it is looked at again only at the end. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Half an hour's messages would be a lot to keep. */
  sealIfClosed(): void {
    if (this.#sealed || this.log.at(-1)?.type !== 'closed') return;
    this.#sealed = true;
    this.log = this.log.filter(({ type }) => type !== 'message');
  }

  /** Is about to be asked, for the first time or again. */
  asks(token: string, by: string): void {
    const deed = this.#deeds.get(token);
    if (deed === undefined) this.#deeds.set(token, { by, ending: 'unknown', seq: 0, asked: 1 });
    else deed.asked += 1;
  }

  /** `seq` is 0 where it is not told. */
  done(token: string, seq: number): void {
    const deed = this.#deeds.get(token)!;
    if (deed.seq !== 0 && seq !== 0 && deed.seq !== seq)
      this.#accuse(`${token} was acked at ${deed.seq} and at ${seq}`);
    deed.ending = 'done';
    if (seq !== 0) deed.seq = seq;
  }

  /** Every time that it was asked, and it is not asked again; `why` for whoever looks for the cause. */
  refused(token: string, why: string): void {
    const deed = this.#deeds.get(token)!;
    // What is there is asked for again at times: that this was refused changes nothing.
    if (deed.ending === 'done') return;
    deed.ending = 'refused';
    deed.why = why;
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
    const times = new Map<string, number>();
    for (const [at, event] of events.entries()) {
      if (event.seq !== at + 1) this.#accuse(`${where} has ${event.seq} in place ${at + 1}`);
      const token = tokenOf(event);
      if (token === undefined) continue;
      const count = (times.get(token) ?? 0) + 1;
      times.set(token, count);
      if (count > (event.type === 'note' ? (this.#deeds.get(token)?.asked ?? 1) : 1))
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
    for (const [token, { ending, why }] of this.#deeds)
      if (ending === 'refused' && places.has(token))
        this.#accuse(
          `${token} was refused (${why}) and is there: ${JSON.stringify(events[places.get(token)! - 1])}`,
        );
    for (const [seq, id] of this.#seen) {
      const event = events[seq - 1];
      if (event !== undefined && event.id !== id)
        this.#accuse(`${seq} was seen as ${id} and is ${event.id} at ${where}`);
    }
    this.#keep(events, where);
  }

  /** All nodes show the same. */
  #keep(events: readonly Frame[], where: string): void {
    for (const [at, event] of events.entries()) {
      const text = JSON.stringify(event);
      const print = hash32(text);
      if ((this.#prints[at] ??= print) === print) continue;
      const other = this.#sealed ? 'something else' : JSON.stringify(this.log[at]);
      this.#accuse(`${where} shows ${text}, another ${other}`);
      break;
    }
    if (!this.#sealed && events.length >= this.log.length) this.log = events;
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
