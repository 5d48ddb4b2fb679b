import type { Envelope, ThreadId } from '../../src/actors/engine/types.ts';
import type { Beat, Bus, ProcessId, Wire } from '../../src/cluster/ports.ts';
import type { SimChance } from './chance.ts';
import type { SimTime, ThreadClock } from './time.ts';

export interface NetworkOptions {
  /** Of a message between nodes, the usual case. */
  readonly latencyMs: number;
  /** Probabilities, each message. */
  readonly dropped: number;
  readonly repeated: number;
  /** One that takes a hundred times as long, so that later ones overtake it (beats only: a wire keeps its order). */
  readonly slow: number;
  /** Batches of envelopes that come twice. NATS does not do this; see the option's use. */
  readonly wireRepeated: number;
}

interface BusEnd {
  readonly node: string;
  readonly clock: ThreadClock;
  readonly receive: (beat: Beat) => void;
}

interface WireEnd {
  readonly node: string;
  readonly clock: ThreadClock;
  readonly receive: (envelopes: readonly Envelope[], from: ThreadId) => void;
}

/** NATS between the nodes: beats may come late, twice, in another order or never; a wire's batches in order or never. */
export class SimNetwork {
  readonly #time: SimTime;
  readonly #chance: SimChance;
  readonly #options: NetworkOptions;
  readonly #busEnds = new Map<ProcessId, BusEnd>();
  readonly #wireEnds = new Map<ThreadId, WireEnd>();
  readonly #arrivals = new Map<string, number>();
  /** "from>to" pairs of nodes between which nothing passes. */
  readonly #cuts = new Set<string>();
  /** Nodes that can't reach NATS at all. */
  readonly #disconnected = new Set<string>();
  readonly #clogs = new Map<string, number>();
  quiet = false;

  constructor(time: SimTime, chance: SimChance, options: NetworkOptions) {
    this.#time = time;
    this.#chance = chance;
    this.#options = options;
  }

  isConnected(node: string): boolean {
    return !this.#disconnected.has(node);
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  disconnect(node: string): void {
    this.#disconnected.add(node);
  }

  /** All messages from and to a node take so much longer. */
  clog(node: string, ms: number): void {
    this.#clogs.set(node, ms);
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`);
  }

  reconnect(node: string): void {
    this.#disconnected.delete(node);
  }

  /** Everything works from here on. */
  heal(): void {
    this.#cuts.clear();
    this.#disconnected.clear();
    this.#clogs.clear();
    this.quiet = true;
  }

  leave(process: ProcessId): void {
    this.#busEnds.delete(process);
  }

  leaveThread(thread: ThreadId): void {
    this.#wireEnds.delete(thread);
  }

  bus(process: ProcessId, node: string, clock: ThreadClock): Bus {
    const isConnected = (): boolean => this.isConnected(node);
    return {
      get connected(): boolean {
        return isConnected();
      },
      publish: (beat) => this.#publish(process, node, beat),
      listen: (receive) => void this.#busEnds.set(process, { node, clock, receive }),
    };
  }

  wire(thread: ThreadId, end: WireEnd): Wire {
    this.#wireEnds.set(thread, end);
    return { send: (to, envelopes) => this.#send(thread, end, to, envelopes) };
  }

  #publish(process: ProcessId, node: string, beat: Beat): void {
    if (!this.isConnected(node)) return;
    // What was encoded does not change any more.
    const copy = { ...beat, hears: [...beat.hears], dead: [...beat.dead], owned: [...beat.owned] };
    for (const [other, end] of this.#busEnds) {
      if (other === process || !this.#passes(node, end.node)) continue;
      this.#later(this.#delay(node, end.node, true), end.clock, () => this.#deliverBeat(other, copy));
      if (!this.quiet && this.#chance.happens(this.#options.repeated))
        this.#later(this.#delay(node, end.node, true), end.clock, () => this.#deliverBeat(other, copy));
    }
  }

  #deliverBeat(process: ProcessId, beat: Beat): void {
    const end = this.#busEnds.get(process);
    if (end !== undefined && this.isConnected(end.node)) end.receive(beat);
  }

  #send(thread: ThreadId, from: WireEnd, to: ThreadId, envelopes: readonly Envelope[]): boolean {
    if (!this.isConnected(from.node)) return false;
    const end = this.#wireEnds.get(to);
    if (end === undefined || !this.#passes(from.node, end.node)) return true;
    const times = !this.quiet && this.#chance.happens(this.#options.wireRepeated) ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      const pair = `${thread}>${to}`;
      const atMs = Math.max(
        this.#time.nowMs() + this.#delay(from.node, end.node, false),
        this.#arrivals.get(pair) ?? 0,
      );
      this.#arrivals.set(pair, atMs);
      this.#later(atMs - this.#time.nowMs(), end.clock, () => {
        if (this.#wireEnds.get(to) === end && this.isConnected(end.node)) end.receive(envelopes, thread);
      });
    }
    return true;
  }

  #passes(from: string, to: string): boolean {
    if (this.#cuts.has(`${from}>${to}`)) return false;
    return this.quiet || !this.#chance.happens(this.#options.dropped);
  }

  #delay(from: string, to: string, mayBeSlow: boolean): number {
    const { latencyMs, slow } = this.#options;
    const usual = latencyMs * (0.5 + this.#chance.next());
    const factor = mayBeSlow && !this.quiet && this.#chance.happens(slow) ? 100 : 1;
    return usual * factor + (this.#clogs.get(from) ?? 0) + (this.#clogs.get(to) ?? 0);
  }

  #later(ms: number, clock: ThreadClock, work: () => void): void {
    this.#time.after(ms, () => clock.run(work));
  }
}
