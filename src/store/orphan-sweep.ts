import type { Clock } from '../core/clock.ts';
import { fenced } from './archive-sql.ts';
import type { Sql } from './database.ts';
import type { Term } from './journal-terms.ts';
import type { ObjectStore } from './object-store.ts';

export interface OrphanSweepOptions {
  readonly sql: Sql;
  readonly store: ObjectStore;
  readonly clock: Clock;
  /** An object that nobody knows is deleted when it is this old; 0: never. Longer than a put can take. */
  readonly ageMs: number;
  /** Objects compared with the database at a time. */
  readonly page?: number;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  readonly observe: (what: 'orphans' | 'strangers', count: number) => void;
}

/** Crashes leave one or two; more were written by another database, or by this one before it was restored. */
export const orphansMax = 16;
const pageUsual = 500;
const segmentKey = /^archive\/([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.seg$/;

interface Orphan {
  readonly key: string;
  readonly size: number;
}

/**
 * Deletes segments that no row knows: a put that came to its end after its archiver had lost the shard and its row was
 * swept, or a delete that a power cut took back. They may hold the talk of somebody who is erased later, and no compaction
 * would ever find them.
 *
 * A row stands before its object is written, so what has none now never gets one: nothing that is about to be published is
 * deleted. What is not ours stays: objects from before this database was made, and all of them when they are many.
 */
export class OrphanSweep {
  readonly #options: OrphanSweepOptions;
  readonly #term: Term;
  #stopped = false;

  constructor(options: OrphanSweepOptions, term: Term) {
    this.#options = options;
    this.#term = term;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Returns how many objects are gone. Rejects where it can't go on now. */
  async round(): Promise<number> {
    const { ageMs, store, log, observe } = this.#options;
    if (ageMs === 0) return 0;
    const { orphans, strangers } = await this.#find();
    if (strangers > 0 || orphans.length > orphansMax) {
      observe('strangers', strangers + orphans.length);
      const count = orphans.length > orphansMax ? `more than ${orphansMax}` : String(strangers);
      log(
        'error',
        `${count} objects of the archive are unknown to this database, ${orphans[0]?.key ?? ''} among them: was it restored, or is the store another one’s? None is deleted`,
      );
      return 0;
    }
    let deleted = 0;
    for (const { key, size } of orphans) {
      if (this.#stopped) break;
      // Only the archive's owner, as with all its changes.
      if ((await this.#unknown([key])).length === 0) continue;
      await store.delete(key);
      deleted += 1;
      observe('orphans', 1);
      log('warn', `${key} with ${size} bytes was known to nobody: it is deleted`);
    }
    return deleted;
  }

  /** At most one more than may be deleted, however many there are. */
  async #find(): Promise<{ orphans: readonly Orphan[]; strangers: number }> {
    const { store, clock, ageMs, page = pageUsual } = this.#options;
    const bornMs = await this.#bornMs();
    const orphans: Orphan[] = [];
    let strangers = 0;
    let batch: Orphan[] = [];
    const take = async (): Promise<void> => {
      const unknown = new Set(await this.#unknown(batch.map(({ key }) => key)));
      for (const orphan of batch) {
        if (!unknown.has(orphan.key)) continue;
        if (madeMs(orphan.key) < bornMs) strangers += 1;
        else if (orphans.length <= orphansMax) orphans.push(orphan);
      }
      batch = [];
    };
    for await (const { key, size, modifiedAtMs } of store.list('archive/')) {
      if (this.#stopped || orphans.length > orphansMax) break;
      if (!segmentKey.test(key)) continue;
      // The later of the two: a store that gives no time is not believed to be old.
      if (clock.wallMs() - Math.max(modifiedAtMs, madeMs(key)) < ageMs) continue;
      batch.push({ key, size });
      if (batch.length === page) await take();
    }
    if (batch.length > 0) await take();
    return { orphans, strangers };
  }

  async #unknown(keys: readonly string[]): Promise<string[]> {
    const rows = await fenced(
      this.#options.sql,
      this.#term,
      (sql) => sql<{ key: string }[]>`
        select k.key from string_to_table(${keys.join(',')}, ',') as k (key)
        where not exists (select 1 from segments s where s.object = k.key)`,
    );
    return rows.map(({ key }) => key);
  }

  async #bornMs(): Promise<number> {
    const [row] = await this.#options.sql<{ ms: number }[]>`
      select floor(extract(epoch from min(at)) * 1000)::float8 as ms from migrations`;
    return row?.ms ?? Infinity;
  }
}

/** When a segment got its id. */
function madeMs(key: string): number {
  const [, high = '', low = ''] = segmentKey.exec(key) ?? [];
  return Number.parseInt(high + low, 16);
}
