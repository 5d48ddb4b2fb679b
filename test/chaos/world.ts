import { shardOf } from '../../src/core/ids.ts';
import { SimChance } from '../sim/chance.ts';
import { http, login, visitor } from '../support/client.ts';
import { until } from '../support/nats.ts';
import { readHistory } from './history.ts';
import { Ledger, type Book } from './ledger.ts';
import type { Person, Outside } from './person.ts';
import { Agent, Customer, Device } from './people.ts';
import { capacity, type Stage } from './stage.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Default: 9. */
  readonly customers?: number;
  /** Default: 3, who have room for all of them. */
  readonly agents?: number;
}

/** Metrics that are 0 when nobody is there. */
const quiet =
  /^kefu_(connections|mailbox_depth|journal_queue_events|cluster_held|actor_crashes_total|feed_waiting\w*)[ {]/;
/** Histories that are read at a time. */
const readers = 6;

interface Wave {
  /** Only what is asked after it counts. */
  readonly fromMs: number;
  readonly waiting: Set<Person>;
  readonly answeredMs: Map<Person, number>;
}

export interface WaveOptions {
  /** Whose times are told. Default: all. */
  readonly touched?: readonly Person[];
  /** From when on they are counted. Default: now. */
  readonly sinceMs?: number;
}

/** Customers, their devices and agents, who live on a stage whatever becomes of it; and the checks of what they were told. */
export class World {
  readonly stage: Stage;
  readonly ledger = new Ledger();
  readonly chance: SimChance;
  readonly customers: Customer[] = [];
  readonly devices: Device[] = [];
  readonly agents: Agent[] = [];
  #running = true;
  #living: Promise<void>[] = [];
  #tokens = 0;
  #wave: Wave = { fromMs: 0, waiting: new Set(), answeredMs: new Map() };
  /** When each customer was answered last. */
  readonly #answeredMs = new Map<Person, number>();
  #silenceMs = 0;
  #latenciesMs: number[] = [];
  #stories: string[] = [];

  private constructor(stage: Stage, seed: number) {
    this.stage = stage;
    this.chance = new SimChance(seed);
  }

  static async start(stage: Stage, options: WorldOptions): Promise<World> {
    const world = new World(stage, options.seed);
    const out = world.#outside();
    const { nodes } = stage;
    for (let count = 0; count < (options.agents ?? 3); count += 1) {
      const name = `agent${count + 1}`;
      const { id, token } = await login(nodes[0]!, name);
      world.agents.push(new Agent(out, name, token, count, id));
    }
    for (const agent of world.agents) agent.colleagues = world.agents.filter((other) => other !== agent);
    for (let count = 0; count < (options.customers ?? 9); count += 1) {
      const { id, token } = await visitor(nodes[count % nodes.length]!);
      const customer = new Customer(out, `c${count + 1}`, token, count, id);
      world.customers.push(customer);
      if (count % 3 > 0) continue;
      customer.device = new Device(out, `d${count + 1}`, token, count + 1);
      world.devices.push(customer.device);
    }
    world.#live();
    await world.wave(30_000);
    return world;
  }

  get #people(): Person[] {
    return [...this.customers, ...this.devices, ...this.agents];
  }

  // ---- how long it takes

  /** Settles when every customer has been answered something that it asked after now: after how many ms each, sorted. */
  async wave(deadlineMs: number, options: WaveOptions = {}): Promise<readonly number[]> {
    const fromMs = performance.now();
    const { touched = this.customers, sinceMs = fromMs } = options;
    const wave = { fromMs, waiting: new Set<Person>(this.customers), answeredMs: new Map<Person, number>() };
    this.#wave = wave;
    const done = (): boolean => wave.waiting.size === 0;
    await until('everybody is answered', done, deadlineMs).catch((error: unknown) => {
      const who = [...wave.waiting].map(({ name }) => name).join();
      throw new Error(`${String(error)}; not ${who}`);
    });
    const times = touched.map((person) => Math.round(wave.answeredMs.get(person)! - sinceMs));
    return times.sort((a, b) => a - b);
  }

  /** Customers whose session is at this node, or who are connected to it: for the others its loss is nothing. */
  async touchedBy(index: number): Promise<readonly Person[]> {
    const status = await this.stage.status(this.stage.nodes[index]!);
    const isThere = (session: string): boolean =>
      status?.shards[shardOf(session)]?.process === status?.self && status !== undefined;
    return this.customers.filter(
      ({ session, place }) =>
        place % this.stage.nodes.length === index || (session !== undefined && isThere(session)),
    );
  }

  /** The longest that any customer was without an answer since the last time that this was asked. */
  silence(): number {
    const now = performance.now();
    for (const ms of this.#answeredMs.values()) this.#silenceMs = Math.max(this.#silenceMs, now - ms);
    const silenceMs = Math.round(this.#silenceMs);
    this.#silenceMs = 0;
    for (const person of this.#answeredMs.keys()) this.#answeredMs.set(person, now);
    return silenceMs;
  }

  /** Of the answers that took long since the last time that this was asked. */
  stories(): string[] {
    return this.#stories.splice(0);
  }

  /** From the first sending to the ack, of all since the last time that this was asked. */
  latencies(): string {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(0);
    return `${sorted.length} acks, p50 ${at(0.5)} p99 ${at(0.99)} max ${(sorted.at(-1) ?? 0).toFixed(0)} ms`;
  }

  // ---- checks

  /**
   * While everybody goes on: every history on every node that runs has all that was told before it was asked for, and
   * nothing happened to the nodes but what was done to them. Closed sessions that were looked at are left for the end.
   */
  async check(): Promise<readonly string[]> {
    for (const person of this.#people) person.tellFaults();
    const { ledger, stage } = this;
    for (const trouble of stage.troubles()) ledger.accuse(trouble);
    const startMs = Date.now();
    await this.#compare([...ledger.books.values()].filter(({ sealed }) => !sealed || !this.#running));
    ledger.checkHolding(capacity, startMs);
    await until('no session is in two hands', () => this.#hands() === undefined, 20_000).catch(() =>
      ledger.accuse(`by what agents were told, ${this.#hands()}`),
    );
    return ledger.violations;
  }

  async #compare(books: Book[]): Promise<void> {
    const { ledger, stage } = this;
    const compare = async (): Promise<void> => {
      for (let book = books.pop(); book !== undefined; book = books.pop()) {
        const told = book.told();
        for (const node of stage.upNodes) {
          const events = await readHistory(node.url, book.session, stage.admin, 10_000);
          if (events === undefined) ledger.accuse(`${book.session}: ${node.url} does not show it`);
          else book.check(events, node.url, told);
        }
      }
    };
    const seen = [...books];
    await Promise.all(Array.from({ length: readers }, compare));
    for (const book of seen) book.sealIfClosed();
  }

  /** What agents were told that must not be, if they were told it all; undefined: nothing. */
  #hands(): string | undefined {
    const holders = new Map<string, string>();
    for (const { name, held } of this.agents) {
      if (held.size > capacity) return `${name} has ${held.size} sessions`;
      for (const session of held) {
        const other = holders.get(session);
        if (other !== undefined) return `${session} is with ${other} and with ${name}`;
        holders.set(session, name);
      }
    }
    return undefined;
  }

  /** After the faults: everybody has an agent again; after so many ms. */
  async served(deadlineMs: number): Promise<number> {
    const fromMs = performance.now();
    const { stage } = this;
    let left = '';
    const isServed = async (): Promise<boolean> => {
      const waiting: string[] = [];
      for (const { session, name, bearer } of this.customers) {
        if (session === undefined) return false;
        const { body } = await http(stage.upNodes[0]!, 'GET', `/v1/sessions/${session}`, { token: bearer });
        if (body.state !== 'chatting') waiting.push(`${name} ${session} ${body.state}`);
      }
      left = waiting.join();
      return (
        waiting.length <=
        this.customers.length - Math.min(this.customers.length, capacity * this.agents.length)
      );
    };
    await until('everybody has an agent', isServed, deadlineMs).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${left}`);
    });
    return Math.round(performance.now() - fromMs);
  }

  /** Everybody finishes what was begun; then every connection has all events, and the histories are complete. */
  async finish(): Promise<readonly string[]> {
    this.#running = false;
    await Promise.all(this.#living);
    await this.#allHeard().catch((error: unknown) => this.ledger.accuse(String(error)));
    await this.#allHeld().catch((error: unknown) => this.ledger.accuse(String(error)));
    for (const session of await this.#sessions()) this.ledger.book(session);
    await this.check();
    for (const person of this.#people) person.quit();
    await this.#allQuiet().catch((error: unknown) => this.ledger.accuse(String(error)));
    return this.ledger.violations;
  }

  /** With nobody there, nothing waits anywhere; and nothing ever crashed. */
  async #allQuiet(): Promise<void> {
    let loud: readonly string[] = [];
    const isQuiet = async (): Promise<boolean> => {
      const said = await Promise.all(this.stage.upNodes.map((node) => http(node, 'GET', '/metrics')));
      const lines = said.flatMap(({ body }) => String(body).split('\n'));
      loud = lines.filter((line) => quiet.test(line) && !line.endsWith(' 0'));
      return said.every(({ status }) => status === 200) && loud.length === 0;
    };
    await until('nothing waits anywhere', isQuiet, 60_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${loud.join()}`);
    });
  }

  /** Whoever still listens has heard of all that is in its session's log. */
  async #allHeard(): Promise<void> {
    let missing = '';
    const isHeard = async (): Promise<boolean> => {
      missing = '';
      for (const person of this.#people) {
        const client = await person.connected();
        if (client === undefined) continue;
        for (const session of person.following()) {
          const path = `/v1/sessions/${session}`;
          const { body } = await http(this.stage.upNodes[0]!, 'GET', path, { token: this.stage.admin });
          if ((client.lastSeq[session] ?? 0) >= body.last_seq) continue;
          missing = `${person.name} heard ${client.lastSeq[session]} of ${body.last_seq} of ${session}`;
          return false;
        }
      }
      return true;
    };
    await until('everybody has heard everything', isHeard, 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${missing}`);
    });
  }

  /** Every agent was told of what it has, and of nothing else. */
  async #allHeld(): Promise<void> {
    let wrong = '';
    const isHeld = async (): Promise<boolean> => {
      for (const agent of this.agents) {
        await agent.connected();
        const has = (await this.#sessions(`&state=chatting&agent=${agent.id}`)).sort().join();
        wrong = `${agent.name} was told of ${[...agent.held].sort().join()} and has ${has}`;
        if ([...agent.held].sort().join() !== has) return false;
      }
      return true;
    };
    await until('every agent was told what it has', isHeld, 60_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${wrong}`);
    });
  }

  /** All that the database has, also those of which nobody was told. */
  async #sessions(which = ''): Promise<string[]> {
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const path: string = `/v1/sessions?limit=100${which}${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { body } = await http(this.stage.upNodes[0]!, 'GET', path, { token: this.stage.admin });
      for (const { id } of body.data as { id: string }[]) found.push(id);
      cursor = body.next as string | null;
    }
    return found;
  }

  // ---- people

  #live(): void {
    const now = performance.now();
    for (const customer of this.customers) this.#answeredMs.set(customer, now);
    this.#living = [...this.customers, ...this.devices, ...this.agents].map((person) => person.live());
  }

  #outside(): Outside {
    return {
      ledger: this.ledger,
      chance: this.chance,
      running: () => this.#running,
      wsUrls: () => this.stage.nodes.map((node) => node.wsUrl),
      httpUrls: () => this.stage.nodes.map((node) => node.url),
      answered: (who, sentMs, attemptMs) => this.#answered(who, sentMs, attemptMs),
      slow: (story) => void this.#stories.push(story),
      token: (by) => `${by}-${(this.#tokens += 1)}`,
    };
  }

  #answered(who: Person, sentMs: number, attemptMs: number): void {
    if (!(who instanceof Customer)) return;
    const now = performance.now();
    this.#latenciesMs.push(now - sentMs);
    this.#silenceMs = Math.max(this.#silenceMs, now - this.#answeredMs.get(who)!);
    this.#answeredMs.set(who, now);
    if (attemptMs < this.#wave.fromMs || !this.#wave.waiting.delete(who)) return;
    this.#wave.answeredMs.set(who, now);
  }
}
