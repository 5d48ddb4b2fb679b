import { Client, type Frame } from '../support/client.ts';
import type { SimChance } from '../sim/chance.ts';
import type { Ledger } from './ledger.ts';
import { postMessage } from './post.ts';

/** What people have in common: where they may connect, and whom they tell. */
export interface Outside {
  readonly ledger: Ledger;
  readonly chance: SimChance;
  /** Whether they go on; when not, they finish what they have begun. */
  readonly running: () => boolean;
  /** How many nodes there are, running or not: nobody tells people which. */
  readonly wsUrls: () => readonly string[];
  readonly httpUrls: () => readonly string[];
  /** A customer's message that was first sent at `sentMs` has been acked now, after an attempt sent at `attemptMs`. */
  readonly answered: (who: Person, sentMs: number, attemptMs: number) => void;
  /** What somebody went through for an answer that took long. */
  readonly slow: (story: string, ms: number) => void;
  /** A new token. */
  readonly token: (by: string) => string;
}

/** Nobody waits longer for an answer. */
const silenceMs = 1500;
/** From asking again and again without an end in sight; then it is a violation. */
const patienceMs = 90_000;
const framesKept = 300;
/** An answer that took longer is worth a story. */
const storyMs = 4000;

export type Ending = 'done' | 'over' | 'given up';

/**
 * Somebody with one connection at a time, who comes back to any node and resumes, and asks again with the same token
 * what was not answered or could not be had.
 */
export abstract class Person {
  readonly name: string;
  readonly bearer: string;
  readonly out: Outside;
  readonly chance: SimChance;
  client: Client | undefined;
  #greeting: Client | undefined;
  /** The last seq of each session that it follows. */
  seqs: Record<string, number> = {};
  /** Away: does not connect. */
  away = false;
  /** Set when it is over with, whatever was begun. */
  #left = false;
  #place: number;
  #connecting: Promise<Client | undefined> | undefined;
  #closed: Promise<undefined> = Promise.resolve(undefined);
  #faulty: Client[] = [];
  /** What has happened since it began to ask. */
  #story: string[] = [];

  constructor(out: Outside, name: string, bearer: string, place: number) {
    this.out = out;
    this.name = name;
    this.bearer = bearer;
    this.#place = place;
    this.chance = out.chance.fork();
  }

  /** With what it may be told that a session is not for it any more. */
  abstract readonly refusals: readonly string[];
  /** Which sessions to resume. */
  abstract following(): readonly string[];
  /** A frame has come over the present connection. */
  abstract hear(frame: Frame): void;
  /** What it does as soon as it is connected. */
  abstract greet(client: Client): Promise<unknown>;

  /** Which node it goes to next. */
  get place(): number {
    return this.#place;
  }

  pause(minMs: number, maxMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.chance.between(minMs, maxMs)));
  }

  quit(): void {
    this.#left = true;
    this.leave();
  }

  /** Leaves this node; the next connection is to another one. */
  leave(): void {
    const { client } = this;
    this.client = undefined;
    if (this.#greeting === client) this.#greeting = undefined;
    this.#place += 1 + this.chance.below(2);
    if (client === undefined) return;
    this.#keep(client);
    client.close();
  }

  /** Undefined only when all is over. */
  async connected(): Promise<Client | undefined> {
    while (!this.#left) {
      if (this.client !== undefined && this.client.closed === undefined) return this.client;
      if (this.client !== undefined) this.leave();
      this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
      if ((await this.#connecting) === undefined) await this.pause(50, 200);
    }
    return undefined;
  }

  /** Undefined: no answer, or no connection any more. */
  async ask(client: Client, frame: Frame): Promise<Frame> {
    const ref = this.out.token('r');
    const said = client.next((it) => it.ref === ref, silenceMs).catch(() => undefined);
    client.send({ ...frame, ref });
    return Promise.race([said, this.#closed]);
  }

  /**
   * Does what `frame` says until it is settled. 'over': the session is not for us any more; 'given up': it was refused
   * each time, and is not asked again, so that it must never be there.
   */
  async insist(session: string, token: string, frame: Frame, success: 'ack' | 'ok'): Promise<Ending> {
    const { ledger } = this.out;
    const book = ledger.book(session);
    const sentMs = performance.now();
    this.beginStory();
    for (let unsure = false, told = false, refusals = 0; ;) {
      const client = await this.connected();
      if (client === undefined) return 'over';
      const attemptMs = performance.now();
      book.asks(token, this.name);
      // Also by another way, and the rest of its attempts by the first: the id is the same.
      const isPosted = frame.t === 'say' && this.chance.happens(0.1);
      const answer = isPosted
        ? await this.#post(session, frame)
        : await this.ask(client, { ...frame, session });
      this.note(attemptMs, answer?.code ?? answer?.t ?? 'silence');
      if (answer === undefined) {
        // Once more over the same connection, perhaps; who is silent twice is left.
        if (client.closed !== undefined || unsure || this.chance.happens(0.6)) this.leave();
        unsure = true;
      } else if (answer.t === success) {
        book.done(token, (answer.seq as number | undefined) ?? 0);
        ledger.acks += 1;
        this.endStory(token, sentMs);
        this.out.answered(this, sentMs, attemptMs);
        return 'done';
      } else if (['unavailable', 'busy'].includes(answer.code as string)) {
        ledger.refusals += 1;
        if (!unsure && this.chance.happens(0.15)) {
          book.refused(token, this.#whyText(answer));
          this.endStory(`${token}, given up,`, sentMs);
          return 'given up';
        }
        refusals += 1;
        // Here or elsewhere; a node that is cut off says so again and again, and keeps who stays.
        if (refusals % 2 === 0 || this.chance.happens(0.4)) this.leave();
        await this.pause(50, 300);
      } else {
        if (!this.refusals.includes(answer.code as string))
          ledger.accuse(`${this.name}: ${token}: ${JSON.stringify(answer)}`);
        // A message is found by its id however often it is said; of the rest the first attempt may be why this one is refused.
        if (!unsure || success === 'ack') book.refused(token, this.#whyText(answer));
        this.endStory(`${token}, in vain,`, sentMs);
        return 'over';
      }
      if (!told && performance.now() - sentMs > patienceMs) {
        told = true;
        this.endStory(token, sentMs);
        ledger.accuse(`${this.name}: ${token} was not settled in ${patienceMs} ms`);
      }
    }
  }

  /** Gaps, repeats and disorder that its connections saw. */
  tellFaults(): void {
    for (const client of [...this.#faulty, ...(this.client === undefined ? [] : [this.client])])
      for (const fault of client.faults.splice(0)) this.out.ledger.accuse(`${this.name} saw ${fault}`);
    this.#faulty = this.#faulty.filter(({ closed }) => closed === undefined);
  }

  #post(session: string, frame: Frame): Promise<Frame> {
    const url = this.chance.pick(this.out.httpUrls());
    return postMessage(url, session, this.bearer, frame, silenceMs);
  }

  #whyText({ code, message }: Frame): string {
    return `${new Date().toISOString()} ${code}: ${message}; ${this.#story.join(', ')}`;
  }

  protected note(sinceMs: number, what: string): void {
    if (this.#story.length < 100)
      this.#story.push(
        `n${(this.#place % this.out.wsUrls().length) + 1} ${what} ${(performance.now() - sinceMs).toFixed(0)} ms`,
      );
  }

  protected beginStory(): void {
    this.#story = [];
  }

  protected endStory(token: string, sentMs: number): void {
    const ms = performance.now() - sentMs;
    if (ms > storyMs) this.out.slow(`${token} took ${ms.toFixed(0)} ms: ${this.#story.join(', ')}`, ms);
  }

  #keep(client: Client): void {
    for (const [session, seq] of Object.entries(client.lastSeq))
      this.seqs[session] = Math.max(seq, this.seqs[session] ?? 0);
    this.#faulty.push(client);
  }

  async #connect(): Promise<Client | undefined> {
    if (this.away) return undefined;
    const urls = this.out.wsUrls();
    const fromMs = performance.now();
    const client = await inTime(Client.open(urls[this.#place % urls.length]!), (late) => late.close());
    if (client === undefined || this.#left) {
      this.note(fromMs, 'takes no connection');
      this.#place += 1;
      client?.close();
      return undefined;
    }
    const resume: Record<string, number> = {};
    for (const session of this.following())
      if (this.seqs[session] !== undefined) resume[session] = this.seqs[session];
    Object.assign(client.lastSeq, resume);
    this.#greeting = client;
    client.onFrame = (frame) => this.#hear(client, frame);
    const closed = client.untilClosed(2 ** 31 - 1).then(() => undefined);
    const greeted = client
      .next(({ t }) => t === 'ready' || t === 'error', 2 * silenceMs)
      .catch(() => undefined);
    client.send({ t: 'hello', token: this.bearer, resume });
    const answer = await Promise.race([greeted, closed]);
    this.note(fromMs, `greets with ${answer?.code ?? answer?.t ?? 'silence'}`);
    if (answer?.t === 'ready' && !this.#left) {
      this.client = client;
      this.#closed = closed;
      await this.greet(client);
      return client;
    }
    if (answer?.t === 'error') {
      if (!['unavailable', 'busy'].includes(answer.code as string))
        this.out.ledger.accuse(`${this.name}: hello: ${JSON.stringify(answer)}`);
      this.out.ledger.refusals += 1;
    }
    this.#place += 1;
    this.#greeting = undefined;
    this.#keep(client);
    client.close();
    return undefined;
  }

  #hear(client: Client, frame: Frame): void {
    this.out.ledger.saw(frame);
    // What follows `ready` may come with it.
    if (client === this.client || client === this.#greeting) this.hear(frame);
    // All of them would be a lot, after half an hour.
    if (client.frames.length > 2 * framesKept) client.frames.splice(0, framesKept);
  }
}

/** What comes within the time that people wait; what comes later is got rid of. */
function inTime<T>(coming: Promise<T>, late: (it: T) => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    let isOver = false;
    const end = (value: T | undefined): void => {
      clearTimeout(timer);
      isOver = true;
      resolve(value);
    };
    const timer = setTimeout(end, silenceMs, undefined);
    coming.then(
      (it) => (isOver ? late(it) : end(it)),
      () => end(undefined),
    );
  });
}
