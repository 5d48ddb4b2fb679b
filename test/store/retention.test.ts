import t from 'tap';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { Reader } from '../../src/store/database.ts';
import { Rights } from '../../src/store/rights.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const dayMs = 24 * 3_600_000;
const ids = new IdSource(realClock, realChance);
const by = { id: ids.next(), name: 'Admin' };
let pg: TestPostgres;
t.setTimeout(60_000);
t.before(async () => {
  pg = await startPostgres();
});
t.teardown(() => pg.stop());

/** A session of a customer of its own, with an event in the table and one file. */
async function session(
  group: string,
  closedDaysAgo: number | undefined,
): Promise<{ id: string; customer: string }> {
  const [id, customer] = [ids.next(), ids.next()];
  const closedAt = closedDaysAgo === undefined ? null : Date.now() - closedDaysAgo * dayMs;
  await pg.sql`insert into customers (id, name, channel, attributes, created_at)
    values (${customer}::uuid, 'Mei', 'web', '{}', 0)`;
  await pg.sql`
    insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
      opened_at, closed_at, rated)
    values (${id}::uuid, ${closedAt === null ? 'waiting' : 'closed'}, ${customer}::uuid, 'Mei', ${group}, 'web', '{}', 0, 0,
      0, ${closedAt}::bigint, false)`;
  await pg.sql`insert into events values (${id}::uuid, 1, '{"type":"message"}')`;
  return { id, customer };
}

t.test('a group’s sessions are erased when it keeps them no longer, held customers’ excepted', async (t) => {
  const forgotten: string[] = [];
  const rights = new Rights({
    reader: new Reader(pg.sql, realClock, 10_000),
    clock: realClock,
    ids,
    forget: (sessions) => forgotten.push(...sessions),
    deleteObject: () => Promise.resolve(),
  });
  for (const name of ['short', 'ever'])
    await pg.sql`insert into groups (name) values (${name}) on conflict do nothing`;
  await rights.setRetention('short', 30 * dayMs, by);
  const kept = [
    await session('short', 29),
    await session('short', undefined),
    await session('ever', 400),
    await session('short', 400),
  ];
  await rights.hold(kept[3]!.customer, by, 'a lawsuit');
  const old = [await session('short', 31), await session('short', 400)];
  t.equal(await rights.retire(1), 1, 'no more than it may');
  t.equal(await rights.retire(100), 1);
  t.equal(await rights.retire(100), 0);
  const left = await pg.sql<{ id: string }[]>`select id from sessions order by id`;
  t.same(
    left.map(({ id }) => id),
    kept.map(({ id }) => id),
  );
  const events = await pg.sql<{ session: string }[]>`select session from events order by session`;
  t.same(
    events.map((event) => event.session),
    kept.map(({ id }) => id),
  );
  for (const { id } of old) t.ok(forgotten.includes(id), 'whoever has it in memory forgets it');
  const [entry] = await rights.audit(undefined, 1);
  t.match(entry, {
    actor: null,
    action: 'group.retention',
    subject: 'short',
    details: { sessions: 1, events: 1 },
  });
  await rights.lift(kept[3]!.customer, by);
  t.equal(await rights.retire(100), 1, 'the hold is lifted');
  await rights.setRetention('short', null, by);
  t.equal(await rights.retire(100), 0);
});
