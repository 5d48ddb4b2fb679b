import type { Generation, LeaseStore, Member } from '../../src/cluster/ports.ts';
import type { SimChance } from './chance.ts';
import type { SimTime, ThreadClock } from './time.ts';

/** How often the store misbehaves, each call. */
export interface LeaseFaults {
  /** A claim that somebody else has is acknowledged too. */
  readonly twoWinners: number;
  /** The members as they were some time ago. */
  readonly staleReads: number;
  /** Acknowledged, and not kept. */
  readonly forgotten: number;
  /** Applied, and never answered. */
  readonly unanswered: number;
}

const timeoutMs = 3_000;

/** The Raft log of all nodes, with everything that was ever seen to go wrong with one. */
export class SimLeases {
  readonly #time: SimTime;
  readonly #chance: SimChance;
  readonly #faults: LeaseFaults;
  readonly #claims = new Map<string, Generation>();
  readonly #members = new Map<Generation, Member>();
  #staleMembers: readonly Member[] = [];
  #noLeaderUntilMs = 0;
  #quiet = false;

  constructor(time: SimTime, chance: SimChance, faults: LeaseFaults) {
    this.#time = time;
    this.#chance = chance;
    this.#faults = faults;
  }

  /** Everything that was acknowledged is gone. */
  wipe(): void {
    this.#claims.clear();
    this.#members.clear();
  }

  loseLeader(ms: number): void {
    this.#noLeaderUntilMs = this.#time.nowMs() + ms;
  }

  heal(): void {
    this.#quiet = true;
    this.#noLeaderUntilMs = 0;
  }

  #happens(probability: number): boolean {
    return !this.#quiet && this.#chance.happens(probability);
  }

  /** A node's way to it. */
  store(clock: ThreadClock, isConnected: () => boolean): LeaseStore {
    const ask = <T>(apply: () => T): Promise<T> => this.#ask(clock, isConnected, apply);
    return {
      claim: (shard, epoch, generation) => ask(() => this.#claim(`${shard}.${epoch}`, generation)),
      claimant: (shard, epoch) => ask(() => this.#claims.get(`${shard}.${epoch}`)),
      heartbeat: (member) =>
        ask(() => {
          if (this.#happens(0.02)) this.#staleMembers = [...this.#members.values()];
          if (!this.#happens(this.#faults.forgotten)) this.#members.set(member.generation, member);
        }),
      members: () =>
        ask(() =>
          this.#happens(this.#faults.staleReads) ? this.#staleMembers : [...this.#members.values()],
        ),
      leave: (generation) => ask(() => void this.#members.delete(generation)),
    };
  }

  #claim(key: string, generation: Generation): boolean {
    const claimant = this.#claims.get(key);
    if (claimant === undefined) {
      if (!this.#happens(this.#faults.forgotten)) this.#claims.set(key, generation);
      return true;
    }
    return claimant === generation || this.#happens(this.#faults.twoWinners);
  }

  #ask<T>(clock: ThreadClock, isConnected: () => boolean, apply: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settled = false;
      const settle = (work: () => void): void =>
        clock.run(() => {
          if (settled) return;
          settled = true;
          cancel();
          work();
        });
      const refuse = (): void => settle(() => reject(new Error('no answer from the lease store')));
      const cancel = clock.after(timeoutMs, refuse);
      // Not connected: it says so at once, as the client does.
      if (!isConnected()) return void this.#time.after(1, refuse);
      this.#time.after(this.#latency(), () => {
        if (this.#time.nowMs() < this.#noLeaderUntilMs || !isConnected()) return;
        const value = apply();
        if (this.#happens(this.#faults.unanswered)) return;
        this.#time.after(this.#latency(), () => {
          if (isConnected()) settle(() => resolve(value));
        });
      });
    });
  }

  #latency(): number {
    return this.#chance.between(0.3, 2);
  }
}
