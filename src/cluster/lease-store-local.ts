import type { Generation, LeaseStore, Member } from './ports.ts';

/** The lease store of a node without NATS, in its own memory; and the model of what any lease store does. */
export class LocalLeaseStore implements LeaseStore {
  readonly #claims = new Map<string, Generation>();
  readonly #members = new Map<Generation, Member>();

  claim(shard: number, epoch: number, generation: Generation): Promise<boolean> {
    const key = `${shard}.${epoch}`;
    const claimant = this.#claims.get(key);
    if (claimant === undefined) {
      this.#claims.set(key, generation);
      this.#claims.delete(`${shard}.${epoch - claimsKept}`);
    }
    return Promise.resolve(claimant === undefined || claimant === generation);
  }

  claimant(shard: number, epoch: number): Promise<Generation | undefined> {
    return Promise.resolve(this.#claims.get(`${shard}.${epoch}`));
  }

  heartbeat(member: Member): Promise<void> {
    this.#members.set(member.generation, member);
    return Promise.resolve();
  }

  members(): Promise<readonly Member[]> {
    return Promise.resolve([...this.#members.values()]);
  }

  leave(generation: Generation): Promise<void> {
    this.#members.delete(generation);
    return Promise.resolve();
  }
}

/** Claims a shard whose keys stay; those further behind are of no use to anybody, for PostgreSQL's epoch is past them. */
export const claimsKept = 16;
