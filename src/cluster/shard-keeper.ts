import type { Clock } from '../core/clock.ts';
import { shardOf } from '../core/ids.ts';
import type { Term } from './ports.ts';
import type { Phase } from './router.ts';

/** What the keeper needs of its thread. */
export interface KeeperOptions {
  readonly clock: Clock;
  readonly router: { setPhase(shard: number, phase: Phase): void };
  readonly system: {
    seal(predicate: (kind: string, key: string) => boolean): () => boolean;
    stopKeys(predicate: (kind: string, key: string) => boolean): Promise<void>;
  };
  readonly journal: {
    take(terms: readonly Term[]): Promise<ReadonlySet<number>>;
    /** Whether nothing of a shard is on its way to the database. */
    isIdle(shard: number): boolean;
  };
  /** What the actors of a shard have on their way may take so long; then it is given up unfinished. */
  readonly flushMs: number;
  readonly answerOpened: (term: Term, taken: boolean) => void;
  readonly answerReleased: (term: Term) => void;
  /** These are served from now on: whoever has something to do there is woken. */
  readonly serves: (shards: readonly number[]) => void;
  /** These are not served any more. */
  readonly ceases: (shards: readonly number[]) => void;
}

const pollMs = 2;

/**
 * The shards of one worker thread. Taking one: its epoch into PostgreSQL first, which fences the old owner off, then
 * its messages. Giving one up: its actors take no more, finish what they have, and only then are gone; what came
 * meanwhile was held by the router, and goes after the shard.
 */
export class ShardKeeper {
  readonly #options: KeeperOptions;
  readonly #terms = new Map<number, number>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** 0: it is not this thread's. */
  epochOf(shard: number): number {
    return this.#terms.get(shard) ?? 0;
  }

  get shards(): number[] {
    return [...this.#terms.keys()];
  }

  async open(terms: readonly Term[]): Promise<void> {
    const { router, journal, answerOpened, serves } = this.#options;
    for (const { shard, epoch } of terms) {
      this.#terms.set(shard, epoch);
      router.setPhase(shard, 'opening');
    }
    const taken = await journal.take(terms);
    const here: number[] = [];
    for (const term of terms) {
      const { shard, epoch } = term;
      // Dropped meanwhile, or asked for again under a later term.
      if (this.#terms.get(shard) !== epoch) continue;
      if (taken.has(shard)) {
        router.setPhase(shard, 'open');
        here.push(shard);
      } else {
        this.#terms.delete(shard);
        router.setPhase(shard, 'away');
      }
      answerOpened(term, taken.has(shard));
    }
    if (here.length > 0) serves(here);
  }

  async release(terms: readonly Term[]): Promise<void> {
    const { clock, router, system, journal, flushMs, answerReleased, ceases } = this.#options;
    const mine = terms.filter(({ shard, epoch }) => this.#terms.get(shard) === epoch);
    const leaving = new Set(mine.map(({ shard }) => shard));
    if (leaving.size === 0) return;
    for (const shard of leaving) router.setPhase(shard, 'leaving');
    const isQuiet = system.seal((kind, key) => kind !== 'gateway' && leaving.has(shardOf(key)));
    const untilMs = clock.nowMs() + flushMs;
    while (clock.nowMs() < untilMs) {
      if ([...leaving].every((shard) => journal.isIdle(shard)) && isQuiet()) break;
      await new Promise<void>((resolve) => clock.after(pollMs, resolve));
    }
    const left = mine.filter(({ shard, epoch }) => this.#terms.get(shard) === epoch);
    ceases(left.map(({ shard }) => shard));
    for (const term of left) {
      this.#stop(term.shard);
      answerReleased(term);
    }
  }

  /** At once: what is not committed yet will be refused by the fence, or was not begun. */
  drop(shards: readonly number[]): void {
    const mine = shards.filter((shard) => this.#terms.has(shard));
    if (mine.length === 0) return;
    this.#options.ceases(mine);
    for (const shard of mine) this.#stop(shard);
  }

  #stop(shard: number): void {
    const { router, system } = this.#options;
    this.#terms.delete(shard);
    // Held rather than away while they stop: what waited for them must not come back to them.
    router.setPhase(shard, 'leaving');
    void system.stopKeys((kind, key) => kind !== 'gateway' && shardOf(key) === shard);
    router.setPhase(shard, 'away');
  }
}
