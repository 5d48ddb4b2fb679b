import type { Chance, Clock } from '../core/clock.ts';
import type { Fences, Generation, LeaseStore, Term } from './ports.ts';

export interface ClaimsOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly store: LeaseStore;
  readonly fences: Fences;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  /** The newest epoch of a shard that anybody has told of. */
  readonly epochOf: (shard: number) => number;
  /** Whether the process that has a shard by the database may still be alive without having been heard. */
  readonly mayLive: (owner: string) => boolean;
  /** These are ours. */
  readonly won: (terms: readonly Term[], generation: Generation) => void;
}

const retryMs = 300;

/**
 * Claims of shards that are nobody's: the next epoch after all that the database and the others know of, created in
 * the lease store, which only one can do. Whoever was second waits a moment: the winner has yet to tell of itself.
 */
export class Claims {
  readonly #options: ClaimsOptions;
  /** Shard → epoch that somebody else was seen to claim. */
  readonly #seen = new Map<number, number>();
  /** Shard → when it may be claimed again. */
  readonly #notBefore = new Map<number, number>();
  /** Shards that their owner itself gave up just now: nobody knows a newer epoch, the database need not be asked. */
  readonly #given = new Set<number>();
  readonly #claiming = new Set<number>();
  made = 0;
  lost = 0;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  isDue(shard: number, nowMs: number): boolean {
    return !this.#claiming.has(shard) && nowMs >= (this.#notBefore.get(shard) ?? 0);
  }

  given(shard: number): void {
    this.#given.add(shard);
  }

  retryLater(shard: number, epoch: number): void {
    const { clock, chance } = this.#options;
    this.#given.delete(shard);
    this.#notBefore.set(shard, clock.nowMs() + retryMs * (1 + chance.next()));
    if (epoch > 0) this.#seen.set(shard, Math.max(epoch, this.#seen.get(shard) ?? 0));
  }

  /** Claims these for a generation; `won` is called with those that it got, those given up by hand first. */
  claim(wanted: readonly number[], generation: Generation): void {
    const given = wanted.filter((shard) => this.#given.delete(shard));
    const others = wanted.filter((shard) => !given.includes(shard));
    for (const shard of wanted) this.#claiming.add(shard);
    if (given.length > 0) void this.#claimAll(given, () => 0, generation);
    if (others.length > 0) void this.#ask(others, generation);
  }

  async #ask(shards: readonly number[], generation: Generation): Promise<void> {
    const { fences, log, mayLive } = this.#options;
    try {
      const rows = await fences.epochs();
      // Its owner was never heard, but may be alive: it is given up first.
      const free = shards.filter((shard) => !mayLive(rows[shard]!.owner));
      for (const shard of shards) if (!free.includes(shard)) this.#claiming.delete(shard);
      await this.#claimAll(free, (shard) => rows[shard]!.epoch, generation);
    } catch (error) {
      log('warn', 'shards can’t be taken while the database is away', error);
      for (const shard of shards) {
        this.#claiming.delete(shard);
        this.retryLater(shard, 0);
      }
    }
  }

  async #claimAll(
    shards: readonly number[],
    stored: (shard: number) => number,
    generation: Generation,
  ): Promise<void> {
    const won: Term[] = [];
    await Promise.all(
      shards.map(async (shard) => {
        const epoch = Math.max(stored(shard), this.#options.epochOf(shard), this.#seen.get(shard) ?? 0) + 1;
        if (await this.#claimOne(shard, epoch, generation)) won.push({ shard, epoch });
        else this.retryLater(shard, epoch);
      }),
    );
    for (const shard of shards) this.#claiming.delete(shard);
    if (won.length > 0) this.#options.won(won, generation);
  }

  async #claimOne(shard: number, epoch: number, generation: Generation): Promise<boolean> {
    this.made += 1;
    try {
      if (await this.#options.store.claim(shard, epoch, generation)) return true;
      this.lost += 1;
    } catch (error) {
      this.#options.log('warn', `the claim of shard ${shard} was not answered`, error);
    }
    return false;
  }
}
