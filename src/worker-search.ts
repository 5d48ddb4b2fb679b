import type { Config } from './config.ts';
import type { Clock } from './core/clock.ts';
import type { Metrics } from './net/metrics.ts';
import type { SearchStore } from './net/search-page.ts';
import { openPool, Reader, type DatabaseAddress } from './store/database.ts';
import type { ColdTier } from './store/history.ts';
import { Search } from './store/search.ts';
import { SearchIndex } from './store/search-index.ts';
import type { SessionIndex } from './store/session-index.ts';

/** A long search must not stand in the way of a chat, nor an index that is slow to write. */
const connections = 2;
const statementMs = 10_000;

export interface WorkerSearchOptions {
  readonly config: Config;
  readonly database: DatabaseAddress;
  readonly clock: Clock;
  readonly cold: ColdTier;
  readonly sessions: SessionIndex;
  readonly owns: (shard: number) => boolean;
  readonly metrics: Metrics;
  readonly log: (level: 'warn' | 'error', text: string, error?: unknown) => void;
}

/** A worker thread's part of the search: the index of its shards, and searches, on connections of their own. */
export class WorkerSearch {
  readonly index: SearchIndex;
  readonly store: SearchStore;

  constructor({ config, database, clock, cold, sessions, owns, metrics, log }: WorkerSearchOptions) {
    const sql = openPool(database, 'search', connections, statementMs, true);
    const reader = new Reader(sql, clock, statementMs);
    this.index = new SearchIndex({
      reader,
      cold,
      clock,
      owns,
      everyMs: config.search.everyMs,
      touchedMax: config.search.touched,
      wordsMax: config.search.words,
      log,
      observe: (what, count) => metrics.searchIndexed.inc({ what }, count),
    });
    const search = new Search(reader, clock);
    this.store = { find: (filter) => search.find(filter), sessionsById: (ids) => sessions.byIds(ids) };
    this.index.start();
  }
}
