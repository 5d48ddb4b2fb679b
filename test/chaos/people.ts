import type { Client, Frame } from '../support/client.ts';
import { Person, type Outside } from './person.ts';
import { readHistory } from './history.ts';

/** One who asks for help, talks without a pause, and begins anew when the session is closed. */
export class Customer extends Person {
  readonly id: string;
  readonly refusals = ['invalid_transition'];
  session: string | undefined;
  /** The other device follows too. */
  device: Device | undefined;
  #last: { readonly session: string; readonly token: string } | undefined;

  constructor(out: Outside, name: string, bearer: string, place: number, id: string) {
    super(out, name, bearer, place);
    this.id = id;
  }

  following(): readonly string[] {
    return this.session === undefined ? [] : [this.session];
  }

  hear(frame: Frame): void {
    if (frame.t === 'event' && frame.type === 'closed' && frame.session === this.session)
      this.session = undefined;
  }

  greet(): Promise<void> {
    return Promise.resolve();
  }

  async live(): Promise<void> {
    while (this.out.running()) {
      if (this.session === undefined) await this.#openSoon();
      const { session } = this;
      if (session === undefined) continue;
      await this.#act(session);
      await this.pause(30, 110);
    }
  }

  async #act(session: string): Promise<void> {
    const token = this.out.token(this.name);
    if (this.chance.happens(0.01)) {
      const ending = await this.insist(session, token, { t: 'close', reason: token }, 'ok');
      if (ending !== 'given up') this.#over(session);
      return;
    }
    if (this.chance.happens(0.05)) await this.#read(session);
    // Promise 3, however far apart.
    if (this.#last?.session === session && this.chance.happens(0.05)) {
      await this.insist(session, this.#last.token, { t: 'say', id: this.#last.token, body: 'hi' }, 'ack');
      return;
    }
    const ending = await this.insist(session, token, { t: 'say', id: token, body: 'hi' }, 'ack');
    if (ending === 'over') this.#over(session);
    if (ending === 'done') this.#last = { session, token };
  }

  #over(session: string): void {
    if (this.session === session) this.session = undefined;
  }

  async #openSoon(): Promise<void> {
    const sinceMs = performance.now();
    this.beginStory();
    while (this.session === undefined && this.out.running()) await this.#open();
    this.endStory(`${this.name} opening`, sinceMs);
  }

  async #open(): Promise<void> {
    const client = await this.connected();
    if (client === undefined) return;
    const sinceMs = performance.now();
    const answer = await this.ask(client, { t: 'open' });
    this.note(sinceMs, answer?.code ?? answer?.t ?? 'opens in silence');
    if (answer?.t === 'opened') {
      this.session = answer.session.id as string;
      this.out.ledger.book(this.session);
      this.device?.follow(this.session);
      return;
    }
    if (answer !== undefined && !['unavailable', 'busy'].includes(answer.code as string))
      this.out.ledger.accuse(`${this.name}: open: ${JSON.stringify(answer)}`);
    if (answer === undefined || this.chance.happens(0.6)) this.leave();
    await this.pause(50, 300);
  }

  /** Nobody may be shown less than has been told, whichever node it asks, and whatever that has slept through. */
  async #read(session: string): Promise<void> {
    const book = this.out.ledger.book(session);
    const told = book.told();
    const url = this.chance.pick(this.out.httpUrls());
    const events = await readHistory(url, session, this.bearer, 1500);
    if (events === undefined) return;
    const ids = new Map(events.filter(({ type }) => type === 'message').map(({ id, seq }) => [id, seq]));
    // Of transfers, whose tokens are in notes, customers see nothing.
    for (const [token, seq] of told.done)
      if (seq !== 0 && ids.get(token) !== seq)
        this.out.ledger.accuse(
          `${session}: ${token} was acked at ${seq}, and ${url} shows it at ${ids.get(token)}`,
        );
    if (events.length < told.head)
      this.out.ledger.accuse(`${session}: ${url} shows ${events.length}, ${told.head} was seen before`);
  }
}

/** A customer's other device: follows its session and says nothing. */
export class Device extends Person {
  readonly refusals = [];
  session: string | undefined;

  following(): readonly string[] {
    return this.session === undefined ? [] : [this.session];
  }

  follow(session: string): void {
    this.session = session;
    // Who opened it over another connection is not followed by this one.
    this.leave();
  }

  hear(): void {
    // What it hears is checked as it comes.
  }

  greet(): Promise<void> {
    return Promise.resolve();
  }

  async live(): Promise<void> {
    while (this.out.running()) {
      await this.connected();
      await this.pause(100, 300);
    }
  }
}

/** One who answers in all sessions that it has, passes some on, closes some, and goes away at times. */
export class Agent extends Person {
  readonly refusals = ['invalid_transition', 'not_participant', 'conflict'];
  readonly id: string;
  /** The others, to pass sessions to. */
  colleagues: readonly Agent[] = [];
  readonly #held = new Set<string>();
  #isOnline = false;

  constructor(out: Outside, name: string, bearer: string, place: number, id: string) {
    super(out, name, bearer, place);
    this.id = id;
  }

  get held(): ReadonlySet<string> {
    return this.#held;
  }

  following(): readonly string[] {
    return [...this.#held];
  }

  hear(frame: Frame): void {
    if (frame.t === 'ready') {
      this.#held.clear();
      for (const session of frame.sessions) this.#held.add(session.id as string);
    }
    if (frame.t === 'assigned') this.#held.add(frame.session.id as string);
    if (frame.t === 'released') this.#drop(frame.session as string);
  }

  async greet(client: Client): Promise<void> {
    this.#isOnline = false;
    await this.#comeOnline(client);
  }

  async live(): Promise<void> {
    while (this.out.running()) {
      const client = await this.connected();
      if (client === undefined) return;
      // Until it is so: it was away before, or its presence could not be kept.
      if (!this.#isOnline) await this.#comeOnline(client);
      if (this.chance.happens(0.004)) await this.#break(client);
      const sessions = [...this.#held];
      if (sessions.length > 0) await this.#act(this.chance.pick(sessions));
      await this.pause(40, 120);
    }
  }

  async #comeOnline(client: Client): Promise<void> {
    const answer = await this.ask(client, { t: 'presence', state: 'online' });
    this.#isOnline = answer?.t === 'ok';
    if (answer === undefined && this.chance.happens(0.5)) this.leave();
  }

  async #act(session: string): Promise<void> {
    const token = this.out.token(this.name);
    const turn = this.chance.next();
    if (turn < 0.01) await this.insist(session, token, { t: 'close', reason: token }, 'ok');
    else if (turn < 0.03) {
      const agent = this.chance.happens(0.5) ? this.chance.pick(this.colleagues).id : undefined;
      const to = agent === undefined ? { group: 'support' } : { agent };
      await this.insist(session, token, { t: 'transfer', to, note: token }, 'ok');
    } else await this.insist(session, token, { t: 'say', id: token, body: 'hello' }, 'ack');
  }

  /** Longer than the grace time, or not; said, or just gone. */
  async #break(client: Client): Promise<void> {
    if (this.chance.happens(0.5)) {
      await this.ask(client, { t: 'presence', state: 'away' });
      this.#isOnline = false;
      await this.pause(500, 2000);
      return;
    }
    this.away = true;
    this.leave();
    await this.pause(500, 4000);
    this.away = false;
  }

  #drop(session: string): void {
    this.#held.delete(session);
    delete this.seqs[session];
  }
}
