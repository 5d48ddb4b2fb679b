import { join } from 'node:path';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { IdSource } from '../../src/core/ids.ts';
import { Archiver } from '../../src/store/archiver.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { openPool, Reader } from '../../src/store/database.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import type { TestPostgres } from '../../test/support/postgres.ts';
import { none, type Row } from '../support/report.ts';
import type { Plan } from './index.ts';
import type { Talk } from './load.ts';

export interface Stored {
  readonly rows: readonly Row[];
  readonly work: string;
  readonly store: Awaited<ReturnType<typeof openFileStore>>;
  /** Ids of sessions that are cold now, and of some that are not. */
  readonly cold: readonly string[];
  readonly warm: readonly string[];
}

/** The archiver as it runs in a node, without its brake; everything from the table to the table counts. */
export async function archive(pg: TestPostgres, talk: Talk, plan: Plan, folder: string): Promise<Stored> {
  const store = await openFileStore({ directory: join(folder, 'objects'), wallMs: () => realClock.wallMs() });
  const reader = new Reader(pg.sql, realClock, 30_000);
  const dictionaries = new ArchiveDictionaries(reader);
  const pool = new SegmentPool(1);
  const sql = openPool(pg.address, 'bench archive', 2, 60_000);
  const counts = { segments: 0, sessions: 0, events: 0, bytes: 0, raw: 0 };
  // The newest stay warm: so many days that about `archived` events are older.
  const [edge] = await pg.sql<{ closed: string }[]>`
    select closed_at as closed from sessions order by closed_at
    offset ${Math.floor((plan.archived / talk.events) * talk.sessions.length)} limit 1`;
  const clock = realClock;
  const archiver = new Archiver(
    {
      sql,
      store,
      dictionaries,
      cold: new ColdEvents({ reader, store, dictionaries, readsMax: 64 }),
      pool,
      clock,
      ids: new IdSource(clock, realChance),
      afterMs: clock.wallMs() - Number(edge!.closed),
      segmentBytes: 16 * 2 ** 20,
      eventsPerSecond: Infinity,
      log: () => undefined,
      observe: (what, count) => {
        counts[what] += count;
      },
    },
    { shard: 0, epoch: 0 },
  );
  const cpuBefore = process.cpuUsage();
  const startMs = clock.nowMs();
  await archiver.round();
  const seconds = (clock.nowMs() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  await pool.close();
  await sql.end();
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const ids = async (isCold: boolean): Promise<string[]> => {
    const rows = await pg.sql<{ id: string }[]>`
      select id from sessions where cold = ${isCold} order by md5(id::text) limit ${plan.reads}`;
    return rows.map((row) => row.id);
  };
  const percent = (100 * counts.bytes) / counts.raw;
  return {
    store,
    cold: await ids(true),
    warm: await ids(false),
    work: `${counts.sessions.toLocaleString('en')} sessions with ${counts.events.toLocaleString('en')} events went into ${counts.segments} segments, each read back and compared event by event.`,
    rows: [
      [
        'archive size against the JSON of the events, dictionary and index included',
        `${percent.toFixed(1)} %`,
        none,
        '15 %',
      ],
      [
        'archiving, from the table to the table, events/s by the clock',
        Math.round(counts.events / seconds).toLocaleString('en'),
        none,
        none,
      ],
      [
        '… events a second of this process’s CPU time, PostgreSQL’s aside',
        Math.round(counts.events / cpuSeconds).toLocaleString('en'),
        none,
        '20,000',
      ],
    ],
  };
}
