import t from 'tap';
import { KefuError } from '../../src/core/errors.ts';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { ArchiveTools } from '../../src/store/archive-tools.ts';
import { Archiver } from '../../src/store/archiver.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader } from '../../src/store/database.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const away = new KefuError('unavailable', 'the object store is away');
const methodsOf = (store: ObjectStore): ObjectStore => ({
  put: (key, content, options) => store.put(key, content, options),
  get: (key, range) => store.get(key, range),
  head: (key) => store.head(key),
  delete: (key) => store.delete(key),
  list: (prefix) => store.list(prefix),
});
const count = 2_000;
const page = 9;
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

async function addSessions(all: readonly string[], state = 'closed'): Promise<void> {
  const list = JSON.stringify(all.map((session) => ({ session })));
  await pg.sql`
    insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
      opened_at, closed_at, rated)
    select session, ${state}, session, 'Mei', 'support', 'web', '{}', 0, 0, 0,
      ${state === 'closed' ? Date.now() - 1000 : null}::bigint, false
    from json_to_recordset(${list}::text::json) r (session uuid)`;
  await pg.sql`
    insert into events (session, seq, data)
    select session, seq, json_build_object('session', session, 'seq', seq, 'id', 'm' || seq, 'type', 'message',
      'from', json_build_object('kind', 'customer', 'id', 'c', 'name', 'Mei'), 'at', '2026-01-05T01:00:01.857Z',
      'body', json_build_object('type', 'text', 'text', 'hello'))
    from json_to_recordset(${list}::text::json) r (session uuid), generate_series(1, 2) seq`;
}

t.test(
  'thousands of sessions pass through in pages, each once, also those that come meanwhile',
  async (t) => {
    const sessions = Array.from({ length: count }, () => ids.next());
    await addSessions(sessions);
    const reader = new Reader(pg.sql, realClock, 30_000);
    const store = await openFileStore({ directory: t.testdir(), wallMs: () => Date.now() });
    const dictionaries = new ArchiveDictionaries(reader);
    const cold = new ColdEvents({ reader, store, dictionaries, readsMax: 64 });
    const [row] = await pg.sql<{ epoch: number }[]>`select epoch from shards where id = 9`;
    const shared = { sql: pg.sql, store, dictionaries, cold, pool, clock: realClock, ids };
    const archiver = new Archiver(
      {
        ...shared,
        afterMs: 0,
        segmentBytes: 4_000,
        eventsPerSecond: Infinity,
        log: () => undefined,
        observe: () => undefined,
      },
      { shard: 9, epoch: row!.epoch },
    );
    t.equal(await archiver.round(), count);
    const tools = new ArchiveTools({ sql: pg.sql, reader, store, dictionaries, cold, page });

    const before = await tools.stats();
    t.match(before, { cold_sessions: count, cold_events: 2 * count, warm_events: 0, garbage_share: 0 });
    const verified = await tools.verify(() => undefined);
    t.same(verified, { segments: before.segments, sessions: count, problems: [], unread: [] });
    t.ok(before.segments > page, `${before.segments} segments, more than a page`);

    let calls = 0;
    const fails = (when: (call: number) => boolean): ArchiveTools => {
      const get: ObjectStore['get'] = (key, range) =>
        when((calls += 1)) ? Promise.reject(away) : store.get(key, range);
      const half: ObjectStore = { ...methodsOf(store), get };
      return new ArchiveTools({ sql: pg.sql, reader, store: half, dictionaries, cold, page });
    };
    const once = await fails((call) => call === 2).verify(() => undefined);
    t.match(once, { segments: before.segments, problems: [], unread: [/^archive\/.*is away$/] });
    t.ok(once.sessions < count, 'nothing is said of what was not read');
    await t.rejects(
      fails(() => true).verify(() => undefined),
      away,
      'nor is a store that is away broken',
    );

    const found: string[] = [];
    const seen: number[] = [];
    const late = ids.next();
    for await (const line of tools.export(undefined, (done) => seen.push(done))) {
      found.push((JSON.parse(line) as { session: { id: string } }).session.id);
      // Nobody has looked so far ahead yet.
      if (found.length === 1) await addSessions([late], 'waiting');
    }
    t.same(found, [...sessions, late]);
    t.same([seen[0], seen.at(-1)], [1, count]);

    const half = sessions.slice(0, 10);
    for (const session of half)
      t.same(await tools.restore({ session }, () => undefined), { sessions: 1, events: 2 });
    const garbage = await tools.stats();
    t.match(garbage, { warm_closed_sessions: 10, warm_oldest: '2026-01-05T01:00:01.857Z', warm_events: 22 });
    t.ok(garbage.garbage_share! > 0 && garbage.garbage_share! < 0.1, `${garbage.garbage_share} is garbage`);
    t.same(await tools.restore({}, () => undefined), { sessions: count - 10, events: 2 * (count - 10) });
    t.match(await tools.stats(), { cold_sessions: 0, warm_sessions: count + 1, garbage_share: 1 });
  },
);
