import { Client, http, login, visitor, type Frame } from '../support/client.ts';
import type { TestNode } from '../support/node.ts';

/**
 * Customers and their agent, who talk without a pause whatever becomes of the node: who is cut off comes back and
 * resumes, what was not answered is said again with the same id, what was refused is not. Then the logs are read,
 * and must agree with what each was told.
 */
const lanes = 4;
/** An answer may take no longer, whatever has failed; but for a commit that the database neither takes nor refuses. */
const silenceMaxMs = 6000;

interface Told {
  readonly session: string;
  readonly id: string;
}

export class Talkers {
  node: TestNode;
  readonly acked: (Told & { seq: number })[] = [];
  /** What was answered with an error: it must not be in the log. */
  readonly refused: (Told & { code: string })[] = [];
  readonly faults: string[] = [];
  /** The longest that somebody waited for an answer while connected. */
  slowestMs = 0;
  reconnects = 0;
  running = true;
  /** While the database hangs a commit's outcome is not known, and nothing is said of it (docs/protocol.md). */
  mayBeSilent = false;
  /** What was not answered: it is in the log once, or not at all. */
  unanswered = 0;
  /** Settles while the node is up. */
  gate: Promise<void> = Promise.resolve();
  readonly #tokens: string[] = [];
  readonly #sessions: string[] = [];
  readonly #people: Person[] = [];
  #openGate: () => void = () => undefined;
  #waiters: { until: () => boolean; done: () => void }[] = [];

  private constructor(node: TestNode) {
    this.node = node;
  }

  /** At most as many customers as one agent may hold. */
  static async start(node: TestNode, customers: number): Promise<Talkers> {
    const all = new Talkers(node);
    const agent = new Person(all, (await login(node, 'agent1')).token, true);
    await agent.connected();
    for (let count = 0; count < customers; count += 1) {
      const { token } = await visitor(node);
      const customer = new Person(all, token, false);
      const client = (await customer.connected())!;
      const { session } = await client.ask({ t: 'open' });
      await client.seen((frame) => frame.t === 'event' && frame.type === 'assigned');
      all.#tokens.push(token);
      all.#sessions.push(session.id);
      customer.sessions.push(session.id);
      agent.sessions.push(session.id);
      all.#people.push(customer);
    }
    all.#people.push(agent);
    for (const person of all.#people) for (let lane = 0; lane < lanes; lane += 1) void person.talk(lane);
    return all;
  }

  /** So many more acks than now. */
  untilAcked(more: number): Promise<void> {
    const enough = this.acked.length + more;
    return this.#until(`${more} more acks`, () => this.acked.length >= enough);
  }

  untilRefused(count: number): Promise<void> {
    return this.#until(`${count} refusals`, () => this.refused.length >= count);
  }

  /** Nobody tries to connect before `up`. */
  down(): void {
    this.gate = new Promise((resolve) => (this.#openGate = resolve));
  }

  up(node: TestNode): void {
    this.node = node;
    this.#openGate();
  }

  stop(): void {
    this.running = false;
    this.#openGate();
    for (const person of this.#people) person.leave();
  }

  told(): void {
    const done = this.#waiters.filter((waiter) => waiter.until());
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.done();
  }

  /** Reads every log: acked messages once and in their place, refused ones nowhere. Returns what is wrong. */
  async check(): Promise<string[]> {
    // Others are answered while the logs are read: what is compared was told before.
    const acked = [...this.acked];
    const refused = [...this.refused];
    const faults = [...this.faults, ...this.#people.flatMap((person) => person.faults)];
    const places = new Map<string, number>();
    for (const [index, session] of this.#sessions.entries()) {
      const token = this.#tokens[index]!;
      for (let after = 0, more = true; more;) {
        const path = `/v1/sessions/${session}/events?after=${after}&limit=200`;
        const { status, body } = await http(this.node, 'GET', path, { token });
        if (status !== 200) return [`${path}: ${status} ${JSON.stringify(body)}`];
        for (const event of body.data as Frame[]) {
          after += 1;
          if (event.seq !== after) faults.push(`${session} has ${event.seq} in place ${after}`);
          if (places.has(event.id)) faults.push(`${event.id} is there twice`);
          places.set(event.id, event.seq);
        }
        more = body.next !== null;
      }
    }
    for (const { id, seq } of acked)
      if (places.get(id) !== seq) faults.push(`${id} was acked at ${seq} and is at ${places.get(id)}`);
    for (const { id, code } of refused)
      if (places.has(id)) faults.push(`${id} was refused (${code}) and is there`);
    return faults;
  }

  #until(what: string, until: () => boolean): Promise<void> {
    const told = new Error(`no ${what} within 30 s`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(told), 30_000);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiters.push({ until, done });
      this.told();
    });
  }
}

let names = 0;

class Person {
  readonly sessions: string[] = [];
  readonly #all: Talkers;
  readonly #token: string;
  readonly #isAgent: boolean;
  readonly #resume: Record<string, number> = {};
  readonly #faults: string[] = [];
  #client: Client | undefined;
  #closed: Promise<undefined> = Promise.resolve(undefined);
  #connecting: Promise<Client | undefined> | undefined;

  constructor(all: Talkers, token: string, isAgent: boolean) {
    this.#all = all;
    this.#token = token;
    this.#isAgent = isAgent;
  }

  /** Gaps, repeats and disorder that any of its connections saw. */
  get faults(): readonly string[] {
    return [...this.#faults, ...(this.#client?.faults ?? [])];
  }

  /** Undefined when all is over. */
  connected(): Promise<Client | undefined> {
    if (this.#client !== undefined && this.#client.closed === undefined) return Promise.resolve(this.#client);
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  leave(): void {
    this.#client?.close();
  }

  async talk(lane: number): Promise<void> {
    for (let turn = lane; this.#all.running; turn += 1) {
      const session = this.sessions[turn % this.sessions.length]!;
      await this.#say(session, `m${(names += 1)}`);
    }
  }

  async #say(session: string, id: string): Promise<void> {
    while (this.#all.running) {
      const client = await this.connected();
      if (client === undefined) return;
      const asked = performance.now();
      const said = client.next((frame) => frame.ref === id, silenceMaxMs);
      client.send({ t: 'say', ref: id, session, id, body: 'hi' });
      const answer = await Promise.race([said.catch(() => ({ t: 'silence' })), this.#closed]);
      // Cut off before the answer: it may have happened or not, so the same again.
      if (answer === undefined) continue;
      if (answer.t === 'silence' && this.#all.mayBeSilent) {
        this.#all.unanswered += 1;
        return;
      }
      this.#all.slowestMs = Math.max(this.#all.slowestMs, performance.now() - asked);
      if (answer.t === 'ack') this.#all.acked.push({ session, id, seq: answer.seq });
      else if (['unavailable', 'busy'].includes(answer.code))
        this.#all.refused.push({ session, id, code: answer.code });
      else if (this.#all.running) this.#faults.push(`${id}: ${JSON.stringify(answer)}`);
      this.#all.told();
      return;
    }
  }

  async #connect(): Promise<Client | undefined> {
    for (;;) {
      await this.#all.gate;
      if (!this.#all.running) return undefined;
      const old = this.#client;
      if (old !== undefined) {
        this.#faults.push(...old.faults);
        Object.assign(this.#resume, old.lastSeq);
        this.#client = undefined;
        this.#all.reconnects += 1;
      }
      const client = await Client.open(this.#all.node.wsUrl).catch(() => undefined);
      if (client === undefined) continue;
      const closed = client.untilClosed(600_000).then(() => undefined);
      Object.assign(client.lastSeq, this.#resume);
      client.send({ t: 'hello', token: this.#token, resume: { ...this.#resume } });
      const ready = await Promise.race([client.seen(({ t }) => t === 'ready', silenceMaxMs), closed]).catch(
        () => undefined,
      );
      if (ready !== undefined && this.#isAgent)
        await Promise.race([client.ask({ t: 'presence', state: 'online' }), closed]).catch(() => undefined);
      if (ready !== undefined && client.closed === undefined && this.#all.running) {
        this.#client = client;
        this.#closed = closed;
        return client;
      }
      this.#faults.push(...client.faults);
      Object.assign(this.#resume, client.lastSeq);
      client.close();
    }
  }
}
