import { realClock } from '../core/real-clock.ts';
import { Agent } from './agent.ts';
import { audit } from './audit.ts';
import { SeededChance } from './chance.ts';
import { Customer } from './customer.ts';
import type { Order } from './orders.ts';
import { conversation } from './plan.ts';
import { arrivals, phasesOf } from './schedule.ts';
import type { Tally } from './tally.ts';
import { customersOfAddress, sourceAddress } from './target.ts';
import { Sample, type World } from './world.ts';

const openWaitMs = 30_000;
const settleMs = 15_000;
const leaveMs = 20_000;
const pollMs = 25;
const tickMs = 1000;
/** Of each generator: more than that many sessions are a sample. */
const auditMax = 2000;
/** How often an agent's connection is lost. */
const agentDropMeanMs = 90_000;
const agentAwayMeanMs = 1000;
/** How many may be there at once, should the server get stuck; who comes then is counted as skipped. */
const customersMax = 40_000;
/** Sessions closed a second at the end: the clean-up is no load test. */
const leavesPerSecond = 400;

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void realClock.after(ms, () => resolve()));

/** The people of one generator: its agents, its customers as they arrive, and what is done with all of them. */
export class Crowd {
  readonly #order: Order;
  readonly #world: World;
  readonly #agents: Agent[];
  readonly #customers = new Set<Customer>();
  readonly #sample: Sample;
  readonly #plans: SeededChance;
  readonly #addresses: number;
  #place = 0;

  constructor(order: Order, tally: Tally) {
    const { nodes, pace, run, group, seed, index, startedWallMs } = order;
    this.#order = order;
    this.#plans = new SeededChance(seed, `plans ${index}`);
    this.#sample = new Sample(auditMax, new SeededChance(seed, `sample ${index}`));
    this.#world = {
      nodes,
      tally,
      pace,
      run,
      index,
      group,
      startedWallMs,
      chance: new SeededChance(seed, `people ${index}`),
      nowMs: () => realClock.nowMs(),
      after: (delayMs, callback) => realClock.after(Math.max(0, delayMs), callback),
      lines: new Set(),
      ledger: this.#sample,
      isOver: false,
      numbers: 0,
    };
    const all = order.shape.customers / order.processes + order.agents.length;
    this.#addresses = Math.ceil((all * (order.shape.profile === 'surge' ? 4 : 1)) / customersOfAddress);
    this.#agents = order.agents.map(() => new Agent(this.#world, this.#place, this.#nextAddress()));
  }

  get connections(): number {
    let open = 0;
    for (const line of this.#world.lines) if (line.isReady) open += 1;
    return open;
  }

  get customers(): number {
    return this.#customers.size;
  }

  /** The agents take their places; rejects when they can't. */
  async open(): Promise<void> {
    const now = realClock.nowMs();
    for (const [index, agent] of this.#agents.entries()) agent.line.open(this.#order.agents[index]!, now);
    for (const end = now + openWaitMs; !this.#agents.every(({ line }) => line.isReady); await pause(pollMs))
      if (realClock.nowMs() > end) throw new Error('the agents could not connect');
    this.#tick();
  }

  start(atMs: number): void {
    const { shape, processes, seed, index } = this.#order;
    const due = arrivals(shape, 1 / processes, new SeededChance(seed, `arrivals ${index}`));
    this.#arrive(atMs, due);
    if (shape.profile !== 'reconnect') return;
    const { fromMs } = phasesOf(shape)[1]!;
    realClock.after(atMs + fromMs - realClock.nowMs(), () => {
      for (const line of this.#world.lines) line.cut(0, true);
    });
  }

  #arrive(atMs: number, due: Generator<number>): void {
    const { value, done } = due.next();
    if (done === true) return;
    const dueMs = atMs + value;
    this.#world.after(dueMs - realClock.nowMs(), () => {
      if (this.#world.isOver) return;
      this.#world.tally.time('lag', realClock.nowMs() - dueMs);
      this.#come(dueMs);
      this.#arrive(atMs, due);
    });
  }

  #come(dueMs: number): void {
    const plan = conversation(this.#plans, this.#order.pace);
    if (this.#customers.size >= customersMax) {
      this.#world.tally.counts.skipped += 1;
      return;
    }
    const from = { dueMs, place: this.#place, localAddress: this.#nextAddress() };
    const customer = new Customer(this.#world, plan, from, (it) => this.#customers.delete(it));
    this.#customers.add(customer);
    customer.start();
  }

  #nextAddress(): string | undefined {
    this.#place += 1;
    if (!this.#order.nodes.every(({ hasSources }) => hasSources)) return undefined;
    return sourceAddress(this.#order.index, this.#place % this.#addresses);
  }

  #tick(): void {
    realClock.after(tickMs, () => {
      const { chance, isOver, nowMs, lines } = this.#world;
      const now = nowMs();
      for (const line of lines) line.tick(now);
      for (const { outbox } of this.#customers) outbox.tick(now);
      for (const { outbox, line } of this.#agents) {
        outbox.tick(now);
        if (isOver || !chance.isTrue(tickMs / agentDropMeanMs) || !line.isReady) continue;
        this.#world.tally.counts.dropped += 1;
        line.cut(chance.exponential(agentAwayMeanMs));
        outbox.excuse();
      }
      this.#tick();
    });
  }

  /** Nothing new; waits for what is on its way. */
  async settle(): Promise<void> {
    this.#world.isOver = true;
    const open = (): number => {
      let all = 0;
      for (const { outbox } of this.#customers) all += outbox.size;
      for (const { outbox } of this.#agents) all += outbox.size;
      return all;
    };
    for (const end = realClock.nowMs() + settleMs; open() > 0 && realClock.nowMs() < end;)
      await pause(pollMs);
    this.#world.tally.counts.unanswered += open();
  }

  /** Compares with the history, then leaves the server as it was, as far as that can be. */
  async finish(): Promise<void> {
    for (const customer of this.#customers) customer.remember();
    for (const agent of this.#agents) agent.remember();
    await audit(this.#sample.entries, this.#world.tally);
    for (const customer of this.#customers) {
      customer.leave();
      await pause(1000 / leavesPerSecond);
    }
    for (const end = realClock.nowMs() + leaveMs; realClock.nowMs() < end; await pause(pollMs))
      if (![...this.#customers].some(({ session, line }) => session !== undefined && line.isReady)) break;
    for (const agent of this.#agents) agent.offline();
    await pause(pollMs);
    for (const line of this.#world.lines) line.close();
  }
}
