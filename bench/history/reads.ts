import { join } from 'node:path';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import type { EventOut } from '../../src/protocol/session-view.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import { openS3Store } from '../../src/store/object-store-s3.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import type { TestPostgres } from '../../test/support/postgres.ts';
import { bucket, S3Server } from '../../test/support/s3.ts';
import { none, percentile, type Row } from '../support/report.ts';
import type { Stored } from './archive.ts';
import type { Plan } from './index.ts';
import type { Talk } from './load.ts';

const page = 50;

/** The last 50 events of one session after the other, as a reader asks for them, by where they are. */
export async function reads(
  pg: TestPostgres,
  talk: Talk,
  plan: Plan,
  { store, cold, warm }: Stored,
  folder: string,
): Promise<{ rows: Row[]; work: string }> {
  const counts = new Map(talk.sessions.map(({ id, events }) => [id, events]));
  const reader = new Reader(pg.sql, realClock, 30_000);
  let events = 0;
  const read = async (history: TieredHistory, sessions: readonly string[]): Promise<number[]> => {
    const times: number[] = [];
    for (const session of sessions) {
      const last = counts.get(session)!;
      const startMs = performance.now();
      const found: readonly EventOut[] = await history.range(session, Math.max(0, last - page), last, page);
      times.push(performance.now() - startMs);
      if (found.length !== Math.min(page, last))
        throw new Error(`${session}: ${found.length} of ${last} events`);
      events += found.length;
    }
    return times;
  };
  const historyOn = (objects: ObjectStore, hotBytes: number): TieredHistory => {
    const dictionaries = new ArchiveDictionaries(reader);
    const tier = new ColdEvents({ reader, store: objects, dictionaries, readsMax: 64 });
    return new TieredHistory(reader, hotBytes, tier);
  };
  const folderReads = historyOn(store, 2 ** 30);
  const coldTimes = await read(folderReads, cold);
  const hotTimes = await read(folderReads, cold);
  const warmTimes = await read(historyOn(store, 1), warm);
  const s3 = await S3Server.start(join(folder, 's3'));
  const location = {
    kind: 's3',
    bucket,
    prefix: '',
    endpoint: s3.endpoint,
    region: 'us-east-1',
    pathStyle: true,
  } as const;
  const objects = openS3Store({ location, clock: realClock, chance: realChance });
  for await (const { key, size } of store.list('archive/')) {
    const { stream } = await store.get(key);
    await objects.put(key, stream, { maxBytes: size });
  }
  const s3Times = await read(historyOn(objects, 1), cold.slice(0, Math.ceil(plan.reads / 2)));
  await s3.stop();
  const row = (name: string, times: readonly number[], wanted: string): Row => [
    `history of a session’s last ${page} events, ${name}, p50 / p99 of ${times.length}`,
    `${percentile(times, 0.5).toFixed(2)} / ${percentile(times, 0.99).toFixed(2)} ms`,
    none,
    wanted,
  ];
  return {
    rows: [
      row('hot', hotTimes, 'p99 2 ms'),
      row('warm', warmTimes, 'p99 10 ms'),
      row('cold, in a folder', coldTimes, none),
      row('cold, on S3 on this machine', s3Times, 'p99 60 ms'),
    ],
    work: `${events.toLocaleString('en')} events were read, and counted.`,
  };
}
