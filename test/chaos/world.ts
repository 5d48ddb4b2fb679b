import { SimChance } from '../sim/chance.ts';
import { http, login, visitor } from '../support/client.ts';
import { until } from '../support/nats.ts';
import { readHistory } from './history.ts';
import { Ledger } from './ledger.ts';
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

interface Wave {
  readonly fromMs: number;
  readonly waiting: Set<Person>;
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
  #wave: Wave = { fromMs: 0, waiting: new Set() };
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

  /** Settles when every customer has been answered something that it asked after now: after so many ms. */
  async wave(deadlineMs: number): Promise<number> {
    const wave = { fromMs: performance.now(), waiting: new Set<Person>(this.customers) };
    this.#wave = wave;
    const done = (): boolean => wave.waiting.size === 0;
    await until('everybody is answered', done, deadlineMs).catch((error: unknown) => {
      const who = [...wave.waiting].map(({ name }) => name).join();
      throw new Error(`${String(error)}; not ${who}`);
    });
    return Math.round(performance.now() - wave.fromMs);
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

  /** While everybody goes on: every history on every node that runs has all that was told before it was asked for. */
  async check(): Promise<readonly string[]> {
    for (const person of this.#people) person.tellFaults();
    const { ledger, stage } = this;
    await Promise.all(
      [...ledger.books.values()].map(async (book) => {
        for (const node of stage.upNodes) {
          const told = book.told();
          const events = await readHistory(node.url, book.session, stage.admin, 10_000);
          if (events === undefined) ledger.accuse(`${book.session}: ${node.url} does not show it`);
          else book.check(events, node.url, told);
        }
      }),
    );
    ledger.checkHolding(capacity);
    return ledger.violations;
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
    for (const session of await this.#sessions()) this.ledger.book(session);
    await this.check();
    for (const person of this.#people) person.quit();
    return this.ledger.violations;
  }

  /** Whoever still listens has heard of all that is in its session's log. */
  async #allHeard(): Promise<void> {
    let missing = '';
    const isHeard = async (): Promise<boolean> => {
      missing = '';
      for (const person of [...this.customers, ...this.devices]) {
        const [session] = person.following();
        const client = await person.connected();
        if (session === undefined || client === undefined) continue;
        const { body } = await http(this.stage.upNodes[0]!, 'GET', `/v1/sessions/${session}`, {
          token: person.bearer,
        });
        if ((client.lastSeq[session] ?? 0) >= body.last_seq) continue;
        missing = `${person.name} heard ${client.lastSeq[session]} of ${body.last_seq} of ${session}`;
        return false;
      }
      return true;
    };
    await until('everybody has heard everything', isHeard, 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${missing}`);
    });
  }

  /** All that the database has, also those of which nobody was told. */
  async #sessions(): Promise<string[]> {
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const path: string = `/v1/sessions?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`;
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
    if (attemptMs >= this.#wave.fromMs) this.#wave.waiting.delete(who);
  }
}
