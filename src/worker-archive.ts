import type { Term } from './cluster/ports.ts';
import type { Config } from './config.ts';
import type { Clock } from './core/clock.ts';
import { shardOf, type IdSource } from './core/ids.ts';
import type { Metrics } from './net/metrics.ts';
import { ArchiveChores } from './store/archive-chores.ts';
import { ColdEvents } from './store/cold-events.ts';
import { openPool, type DatabaseAddress, type Reader } from './store/database.ts';
import type { ObjectStore } from './store/object-store.ts';
import type { Rights } from './store/rights.ts';
import { SegmentPool } from './store/segment-pool.ts';
import { ArchiveDictionaries } from './store/segment-store.ts';

/** Whoever owns this key's shard does the archive's chores. */
const archiveShard = shardOf('archive');
const statementMs = 60_000;

export interface WorkerArchiveOptions {
  readonly config: Config;
  readonly database: DatabaseAddress;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: ObjectStore;
  readonly metrics: Metrics;
  readonly rights: Rights;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
}

/** A worker thread's part of the archive: reading old sessions, and the chores while it owns the archive's shard. */
export class WorkerArchive {
  readonly cold: ColdEvents;
  readonly #options: WorkerArchiveOptions;
  readonly #dictionaries: ArchiveDictionaries;
  #chores: ArchiveChores | undefined;

  constructor(options: WorkerArchiveOptions) {
    this.#options = options;
    const { reader, store, config, metrics } = options;
    this.#dictionaries = new ArchiveDictionaries(reader);
    this.cold = new ColdEvents({
      reader,
      store,
      dictionaries: this.#dictionaries,
      readsMax: config.archive.reads,
      observe: (bytes) => metrics.historyBytes.inc({ tier: 'cold' }, bytes),
    });
  }

  /** This thread serves these shards from now on. */
  opened(shards: readonly number[], epochOf: (shard: number) => number): void {
    if (!shards.includes(archiveShard)) return;
    const term: Term = { shard: archiveShard, epoch: epochOf(archiveShard) };
    this.#chores ??= this.#makeChores();
    this.#chores.start(term);
  }

  closed(shards: readonly number[]): void {
    if (shards.includes(archiveShard)) this.#chores?.stop();
  }

  #makeChores(): ArchiveChores {
    const { config, database, clock, ids, store, metrics, rights, log } = this.#options;
    const { archive } = config;
    const isShared = config.nats.servers.length === 0 || config.objectsShared;
    if (!isShared)
      log(
        'warn',
        'nothing is archived: in a cluster --objects must name a place that all nodes share, a folder or S3',
      );
    const shared = {
      sql: openPool(database, 'archive', 2, statementMs, true),
      store,
      dictionaries: this.#dictionaries,
      pool: new SegmentPool(archive.threads),
      clock,
      ids,
      log,
      observe: (what: string, count: number) => metrics.archived.inc({ what }, count),
      eventsPerSecond: archive.eventsPerSecond === 0 ? Infinity : archive.eventsPerSecond,
    };
    return new ArchiveChores({
      clock,
      rights,
      mayArchive: isShared,
      everyMs: archive.everyMs,
      log,
      failed: (what) => metrics.choresFailed.inc({ what }),
      tell: (backlog) => {
        metrics.archiveBacklog.set(backlog?.sessions ?? 0);
        metrics.archiveOldest.set((backlog?.oldestMs ?? 0) / 1000);
        metrics.storedBytes.set({ tier: 'warm' }, backlog?.warmBytes ?? 0);
        metrics.storedBytes.set({ tier: 'cold' }, backlog?.coldBytes ?? 0);
      },
      archiver: {
        ...shared,
        cold: this.cold,
        afterMs: archive.afterMs,
        segmentBytes: archive.segment,
      },
      orphans: { ...shared, ageMs: archive.orphansAfterMs },
      compactor: {
        ...shared,
        segmentBytes: archive.segment,
        share: archive.compactShare / 100,
        eraseMs: archive.eraseWithinMs,
      },
    });
  }
}
