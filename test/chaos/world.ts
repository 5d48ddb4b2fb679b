import { until } from '../../scripts/processes.ts';
import { shardOf } from '../../src/core/ids.ts';
import { SimChance } from '../sim/chance.ts';
import { http, login, visitor } from '../support/client.ts';
import { allHeard, allHeld, allQuiet, allSessions, noneInTwoHands } from './endings.ts';
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
  #stories: { readonly story: string; readonly ms: number }[] = [];

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

  /** Of the answers that took long since the last time that this was asked, the longest first. */
  stories(): string[] {
    const stories = this.#stories.splice(0).sort((a, b) => b.ms - a.ms);
    return stories.map(({ story }) => story);
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
    await ledger.insist(noneInTwoHands(this.agents));
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
    const { stage, ledger } = this;
    await ledger.insist(allHeard(stage, this.#people));
    await ledger.insist(allHeld(stage, this.agents));
    for (const session of await allSessions(stage)) ledger.book(session);
    await this.check();
    for (const person of this.#people) person.quit();
    await ledger.insist(allQuiet(stage));
    return ledger.violations;
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
      slow: (story, ms) => void this.#stories.push({ story, ms }),
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
