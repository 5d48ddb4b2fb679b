import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { messageEvent } from '../../src/actors/session-events.ts';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { ArchiveChores } from '../../src/store/archive-chores.ts';
import type { Backlog } from '../../src/store/archive-backlog.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import { openS3Store } from '../../src/store/object-store-s3.ts';
import { Rights } from '../../src/store/rights.ts';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { bucket, S3Server, type Asked } from '../support/s3.ts';

/** Of one attempt: no store here is as slow, but for what hangs. */
const limits = { connectMs: 500, answerMs: 250, sendMs: 250, idleMs: 200, attempts: 2, backoffMs: 5 };
const ids = new IdSource(realClock, realChance);
const pool = new SegmentPool(1);
let pg: TestPostgres;
t.setTimeout(120_000);
t.before(async () => {
  pg = await startPostgres();
});
t.teardown(async () => {
  await pool.close();
  await pg.stop();
});

async function oldSession(): Promise<string> {
  const session = ids.next();
  const { json } = messageEvent(
    session,
    1,
    Date.now(),
    'me',
    '{"kind":"customer","id":"me","name":"Mei"}',
    'm1',
    'hi',
  );
  await pg.sql`
    insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
      opened_at, closed_at, rated)
    values (${session}::uuid, 'closed', ${session}::uuid, 'Mei', 'support', 'web', '{}', 0, 0, 0, ${Date.now() - 1000}, false)`;
  await pg.sql`insert into events values (${session}::uuid, 1, ${json}::text::json)`;
  return session;
}

const isCold = async (session: string): Promise<boolean> =>
  (await pg.sql`select 1 from cold where session = ${session}::uuid`).length > 0;

const kinds: readonly (readonly [
  name: string,
  is: (asked: Asked) => boolean,
  fails: string,
  holdsUp: boolean,
])[] = [
  ['put', ({ method }) => method === 'PUT', 'archive', true],
  ['get', ({ method, query }) => method === 'GET' && !query.has('list-type'), 'archive', true],
  ['delete', ({ method }) => method === 'DELETE', 'archive', false],
  ['list', ({ method, query }) => method === 'GET' && query.has('list-type'), 'sweep', false],
  ['everything', () => true, 'archive', true],
];

for (const [name, is, fails, holdsUp] of kinds)
  t.test(`a store where ${name} hangs: only that waits, and goes on by itself`, async (t) => {
    const s3 = await S3Server.start(t.testdir());
    t.teardown(() => s3.stop());
    const reader = new Reader(pg.sql, realClock, 10_000);
    const store = openS3Store({
      location: { kind: 's3', bucket, prefix: '', endpoint: s3.endpoint, pathStyle: true },
      clock: realClock,
      chance: realChance,
      limits,
    });
    const dictionaries = new ArchiveDictionaries(reader);
    const cold = new ColdEvents({ reader, store, dictionaries, readsMax: 64 });
    const failures: Record<string, number> = {};
    const told: (Backlog | undefined)[] = [];
    const ignore = (): void => undefined;
    const shared = {
      sql: pg.sql,
      store,
      dictionaries,
      pool,
      clock: realClock,
      ids,
      eventsPerSecond: Infinity,
      log: ignore,
      observe: ignore,
    };
    const chores = new ArchiveChores({
      clock: realClock,
      archiver: { ...shared, cold, afterMs: 0, segmentBytes: 1e6, eventsPerSecond: Infinity },
      compactor: { ...shared, segmentBytes: 1e6, share: 0.2, eraseMs: 1e9 },
      orphans: { ...shared, ageMs: 3_600_000 },
      mayArchive: true,
      rights: new Rights({
        reader,
        clock: realClock,
        ids,
        forget: ignore,
        deleteObject: (key) => store.delete(key),
      }),
      everyMs: 50,
      log: ignore,
      failed: (what) => (failures[what] = (failures[what] ?? 0) + 1),
      tell: (backlog) => told.push(backlog),
    });
    t.teardown(() => chores.stop());
    // What another left behind is deleted first.
    const left = ids.next();
    await pg.sql`insert into segments (id, object, state, made_at) values (${left}::uuid, ${`archive/${left}.seg`}, 'writing', 0)`;
    const session = await oldSession();
    s3.plan((asked) => (is(asked) ? { type: 'hang' } : undefined));
    const [row] = await pg.sql<{ epoch: number }[]>`
      update shards set epoch = epoch + 1 where id = 9 returning epoch`;
    chores.start({ shard: 9, epoch: row!.epoch });
    await until('the failure', () => (failures[fails] ?? 0) >= 2);
    if (!holdsUp) await until('what does not need it goes on', () => isCold(session));
    else {
      t.equal(await isCold(session), false);
      const began = performance.now();
      const [event] = await new TieredHistory(reader, 1, cold).range(session, 0, 1, 1);
      t.match(event, { seq: 1 });
      t.ok(performance.now() - began < 1_000, 'warm history does not wait');
      await until('the backlog', () => told.length > 0);
      t.equal(told[0]!.sessions, 1);
    }
    const late = await oldSession();
    s3.plan();
    s3.release();
    await until('the archive', async () => (await isCold(session)) && (await isCold(late)));
    await until('the sweep', async () => {
      const rows = await pg.sql`select 1 from segments where state <> 'ready'`;
      return rows.length === 0;
    });
    chores.stop();
    t.equal(told.at(-1), undefined, 'whoever is next tells the backlog');
    const [event] = await new TieredHistory(reader, 1, cold).range(late, 0, 1, 1);
    t.match(event, { seq: 1 });
  });
