import { realChance, realClock } from '../../src/core/real-clock.ts';
import { IdSource } from '../../src/core/ids.ts';
import type { ObjectsLocation } from '../../src/core/objects-url.ts';
import { Archiver, type Step } from '../../src/store/archiver.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Compactor } from '../../src/store/compactor.ts';
import { openPool, Reader, type DatabaseAddress } from '../../src/store/database.ts';
import { openObjectStore } from '../../src/store/open-object-store.ts';
import { OrphanSweep } from '../../src/store/orphan-sweep.ts';
import { Rights } from '../../src/store/rights.ts';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';

/** A process of archiver.test.ts: does one of the archive's chores for real, and kills itself where it is told to. */
export interface Job {
  readonly address: DatabaseAddress;
  readonly objects: ObjectsLocation;
  readonly epoch: number;
  /** One after the other. */
  readonly works: readonly ('archive' | 'compact' | 'merge' | 'erase' | 'sweep')[];
  /** SIGKILL when this step comes for the `count`th time. */
  readonly dieAt?: { readonly step: Step; readonly count: number };
}

export const archiveShard = 9;
export const segmentBytes = 24 * 1024;

async function work(job: Job): Promise<void> {
  const sql = openPool(job.address, 'archive', 2, 30_000);
  const reader = new Reader(sql, realClock, 30_000);
  const ignore = (): void => undefined;
  const observer = { ended: ignore, moved: ignore, retried: ignore };
  const store = await openObjectStore({
    location: job.objects,
    clock: realClock,
    chance: realChance,
    observer,
  });
  const dictionaries = new ArchiveDictionaries(reader);
  const cold = new ColdEvents({ reader, store, dictionaries, readsMax: 64 });
  const ids = new IdSource(realClock, realChance);
  const pool = new SegmentPool(1);
  let seen = 0;
  const shared = {
    sql,
    store,
    dictionaries,
    pool,
    clock: realClock,
    ids,
    log: ignore,
    observe: ignore,
    eventsPerSecond: Infinity,
    step(name: Step) {
      if (name === job.dieAt?.step) seen += 1;
      if (seen === job.dieAt?.count) process.kill(process.pid, 'SIGKILL');
    },
  };
  const term = { shard: archiveShard, epoch: job.epoch };
  const rights = new Rights({
    reader,
    clock: realClock,
    ids,
    forget: ignore,
    deleteObject: (object) => store.delete(object),
  });
  process.send?.('begins');
  for (const each of job.works) {
    if (each === 'archive')
      await new Archiver(
        { ...shared, cold, afterMs: 0, segmentBytes, eventsPerSecond: Infinity },
        term,
      ).round();
    if (each === 'compact' || each === 'merge') {
      const compactor = new Compactor(
        { ...shared, segmentBytes, share: 0.05, eraseMs: 0, mergeLeast: 2 },
        term,
      );
      await (each === 'merge' ? compactor.merge() : compactor.round());
    }
    if (each === 'erase')
      for (const customer of await rights.pendingErasures(1000)) await rights.erase(customer);
    if (each === 'sweep') await new OrphanSweep({ ...shared, ageMs: 1 }, term).round();
  }
}

if (process.env['KEFU_TEST_JOB'] !== undefined) {
  await work(JSON.parse(process.env['KEFU_TEST_JOB']) as Job);
  process.exit(0);
}
