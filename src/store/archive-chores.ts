import type { Clock } from '../core/clock.ts';
import { archiveBacklog, type Backlog } from './archive-backlog.ts';
import { Archiver, type ArchiverOptions } from './archiver.ts';
import { Compactor, type CompactorOptions } from './compactor.ts';
import { ArchiveLost } from './archive-sql.ts';
import type { Term } from './journal-terms.ts';
import { OrphanSweep, type OrphanSweepOptions } from './orphan-sweep.ts';
import type { Rights } from './rights.ts';

export interface ArchiveChoresOptions {
  readonly clock: Clock;
  readonly archiver: ArchiverOptions;
  readonly compactor: CompactorOptions;
  readonly orphans: OrphanSweepOptions;
  /** False: the object store is not shared by the nodes; sessions stay where they are. */
  readonly mayArchive: boolean;
  readonly rights: Rights;
  /** How often it is looked for what is due. */
  readonly everyMs: number;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  readonly failed: (what: string) => void;
  /** What waits, now and then; undefined: another thread knows from here on. */
  readonly tell: (backlog: Backlog | undefined) => void;
}

/** Sessions that retention erases, and erasures taken up again, a round. */
const retiredMax = 10_000;
const erasuresMax = 100;
/** Small segments are merged, and what nobody knows is looked for, when this thread begins and then so often. */
const dailyMs = 24 * 3_600_000;
/** What waits is told no more often than so. */
const tellEveryMs = 1_000;
/** After a failure it is tried again no sooner, and no later. */
const retryMinMs = 1_000;
const retryMaxMs = 60_000;

/**
 * What is done by one thread of the cluster at a time, the owner of the archive's shard: archiving, compaction, retention, the
 * erasures that could not be done at once, and once a day the merging of small segments and the
 * sweep of objects that nobody knows. A failure stops nothing else: it is told, counted, and tried again later.
 */
export class ArchiveChores {
  readonly #options: ArchiveChoresOptions;
  #archiver: Archiver | undefined;
  #compactor: Compactor | undefined;
  #sweep: OrphanSweep | undefined;
  #mergeAtMs = 0;
  #sweepAtMs = 0;
  #tellAtMs = 0;
  #cancel: () => void = () => undefined;
  #failures = 0;

  constructor(options: ArchiveChoresOptions) {
    this.#options = options;
  }

  /** From here on this thread does them. */
  start(term: Term): void {
    this.stop();
    const archiver = new Archiver(this.#options.archiver, term);
    this.#archiver = archiver;
    this.#compactor = new Compactor(this.#options.compactor, term);
    this.#sweep = new OrphanSweep(this.#options.orphans, term);
    this.#mergeAtMs = 0;
    this.#sweepAtMs = 0;
    this.#tellAtMs = 0;
    this.#failures = 0;
    void this.#run(archiver);
  }

  stop(): void {
    this.#cancel();
    this.#archiver?.stop();
    this.#compactor?.stop();
    this.#sweep?.stop();
    if (this.#archiver !== undefined) this.#options.tell(undefined);
    this.#archiver = undefined;
  }

  async #run(archiver: Archiver): Promise<void> {
    const { everyMs, clock, rights, mayArchive } = this.#options;
    const isOurs = (): boolean => this.#archiver === archiver;
    const results = [
      await this.#chore('erasure', isOurs, async () => {
        for (const customer of await rights.pendingErasures(erasuresMax)) await rights.erase(customer);
      }),
      await this.#chore('retention', isOurs, async () => {
        for (let count = 0; count < retiredMax && isOurs();) {
          const retired = await rights.retire(retiredMax - count);
          if (retired === 0) return;
          count += retired;
        }
      }),
      await this.#chore('archive', isOurs, async () => {
        if (mayArchive) await archiver.round();
      }),
      await this.#chore('compaction', isOurs, async () => {
        if (mayArchive) await this.#compactor?.round();
      }),
      await this.#chore('merge', isOurs, async () => {
        if (!mayArchive || clock.nowMs() < this.#mergeAtMs) return;
        await this.#compactor?.merge();
        this.#mergeAtMs = clock.nowMs() + dailyMs;
      }),
      await this.#chore('sweep', isOurs, async () => {
        if (!mayArchive || clock.nowMs() < this.#sweepAtMs) return;
        await this.#sweep?.round();
        this.#sweepAtMs = clock.nowMs() + dailyMs;
      }),
      await this.#chore('backlog', isOurs, async () => {
        if (clock.nowMs() < this.#tellAtMs) return;
        const { archiver: options, tell } = this.#options;
        const backlog = await archiveBacklog(options.sql, clock.wallMs(), options.afterMs);
        if (isOurs()) tell(backlog);
        this.#tellAtMs = clock.nowMs() + tellEveryMs;
      }),
    ];
    if (!isOurs()) return;
    this.#failures = results.includes(false) ? this.#failures + 1 : 0;
    const retryMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(10, this.#failures));
    const waitMs = this.#failures > 0 ? Math.min(everyMs, retryMs) : everyMs;
    this.#cancel = clock.after(waitMs, () => void this.#run(archiver));
  }

  async #chore(what: string, isOurs: () => boolean, work: () => Promise<void>): Promise<boolean> {
    if (!isOurs()) return true;
    try {
      await work();
      return true;
    } catch (error) {
      if (!isOurs() || error instanceof ArchiveLost) return true;
      this.#options.failed(what);
      this.#options.log('error', `${what} could not be done; it is tried again, chats go on`, error);
      return false;
    }
  }
}
