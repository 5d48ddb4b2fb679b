import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { messageEvent } from '../../src/actors/session-events.ts';
import { IdSource, shardOf } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import type { SessionState } from '../../src/rules/session.ts';
import { openPool, Reader } from '../../src/store/database.ts';
import { committedEvents, FeedLog } from '../../src/store/feed-log.ts';
import { PostgresJournal } from '../../src/store/journal.ts';
import { statementFor, type Item } from '../../src/store/journal-sql.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const ids = new IdSource(realClock, realChance);
let pg: TestPostgres;
let log: FeedLog;

t.setTimeout(120_000);
t.before(async () => {
  pg = await startPostgres();
  log = new FeedLog(new Reader(pg.sql, realClock, 5000));
});
t.beforeEach(async () => {
  await pg.sql`update shards set epoch = 1, owner = 'me', writer = 'w'`;
  await pg.sql`delete from feed`;
  await pg.sql`update feed_cursors set position = 0`;
});
t.teardown(() => pg.stop());

function stateOf(session: string): SessionState {
  const customer = { id: ids.next(), name: 'Mei' };
  return {
    id: session,
    state: 'waiting',
    customer,
    agent: null,
    group: 'support',
    channel: 'web',
    subject: null,
    attributes: {},
    priority: 0,
    target: null,
    lastAgent: null,
    previous: null,
    waitingSince: 1,
    openedAt: 1,
    closedAt: null,
    rated: false,
    lastSeq: 1,
  };
}

interface Options {
  readonly epoch?: number;
  readonly withState?: boolean;
  readonly extraEpoch?: number;
}

/** An append of some events of one session, the first of them with `seq`. */
function item(
  session: string,
  seq: number,
  positions: readonly number[] | undefined,
  more: Options = {},
): Item {
  const count = positions?.length ?? 1;
  const events = Array.from({ length: count }, (_, index) =>
    messageEvent(session, seq + index, realClock.wallMs(), 'me', '{"id":"me"}', ids.next(), 'hello \u0001'),
  );
  const shard = shardOf(session);
  return {
    request: {
      session,
      instance: 1,
      term: { shard, epoch: more.epoch ?? 1 },
      events,
      state: more.withState === true ? stateOf(session) : undefined,
      fence: more.extraEpoch === undefined ? undefined : { shard: (shard + 1) % 256, epoch: more.extraEpoch },
    },
    shard,
    epoch: more.epoch ?? 1,
    addedMs: 0,
    bytes: 0,
    positions,
  };
}

async function commit(items: readonly Item[], feed?: boolean): Promise<Set<string>> {
  const statement = statementFor(items, 'w', feed);
  const rows = await pg.sql.unsafe<{ held: string; bad?: string }[]>(statement.text, statement.params, {
    prepare: true,
  });
  return statement.refused(rows[0]!);
}

async function fed(): Promise<string[]> {
  const rows = await pg.sql<{ shard: number; position: string; session: string; seq: number }[]>`
    select * from feed order by shard, position`;
  return rows.map((row) => `${row.shard} ${row.position} ${row.session}/${row.seq}`);
}

/** Sessions of different shards, in the order of these. */
function sessionsOf(count: number): string[] {
  const found = new Map<number, string>();
  while (found.size < count) {
    const id = ids.next();
    if (!found.has(shardOf(id))) found.set(shardOf(id), id);
  }
  return [...found.values()].sort((a, b) => shardOf(a) - shardOf(b));
}

for (const withState of [false, true]) {
  const what = withState ? 'changes of state' : 'messages';

  t.test(`${what}: what goes in is noted in its transaction, what is refused is not`, async (t) => {
    const [one, two] = sessionsOf(2) as [string, string];
    const refused = await commit(
      [item(one, 1, [1, 2], { withState }), item(two, 1, [7], { epoch: 5, withState })],
      true,
    );
    t.same([...refused], [two]);
    t.same(await fed(), [`${shardOf(one)} 1 ${one}/1`, `${shardOf(one)} 2 ${one}/2`]);
    t.equal((await pg.sql`select from events where session = ${two}::uuid`).length, 0);
  });

  t.test(`${what}: without a feed nothing is noted`, async (t) => {
    const session = ids.next();
    t.equal((await commit([item(session, 1, [1], { withState })], false)).size, 0);
    t.equal((await commit([item(session, 2, [2])])).size, 0);
    t.same(await fed(), []);
    t.equal((await pg.sql`select from events where session = ${session}::uuid`).length, 2);
  });

  t.test(`${what}: an item without positions goes in and is not noted`, async (t) => {
    const session = ids.next();
    t.equal((await commit([item(session, 1, undefined, { withState })], true)).size, 0);
    t.same(await fed(), []);
  });
}

t.test('a session that misses another shard’s fence leaves nothing in the feed', async (t) => {
  const [one, two] = sessionsOf(2) as [string, string];
  const refused = await commit(
    [item(one, 1, [1], { extraEpoch: 9 }), item(two, 1, [4], { extraEpoch: 1 })],
    true,
  );
  t.same([...refused], [one]);
  t.same(await fed(), [`${shardOf(two)} 4 ${two}/1`]);
});

t.test('heads are the last position that was used, whether its row is still there or not', async (t) => {
  const [one, two, three] = sessionsOf(3) as [string, string, string];
  await commit([item(one, 1, [3, 8]), item(two, 1, [5])], true);
  await log.advance([{ shard: shardOf(two), position: 5 }]);
  t.same(await log.heads([one, two, three].map(shardOf)), [
    { shard: shardOf(one), cursor: 0, head: 8 },
    { shard: shardOf(two), cursor: 5, head: 5 },
    { shard: shardOf(three), cursor: 0, head: 0 },
  ]);
});

t.test('pending gives the events in order, by pages, as they were stored', async (t) => {
  const [session, other] = sessionsOf(2) as [string, string];
  const first = item(session, 1, [2, 4, 5]);
  await commit([first, item(other, 1, [1])], true);
  await commit([item(session, 4, [9])], true);
  const shard = shardOf(session);
  const page = await log.pending(shard, 0, 3);
  t.same(
    page,
    [2, 4, 5].map((position, index) => ({
      position,
      session,
      seq: index + 1,
      json: first.request.events[index]!.json,
    })),
  );
  t.same(
    (await log.pending(shard, 5, 3)).map(({ position, seq }) => [position, seq]),
    [[9, 4]],
  );
  t.same(await log.pending(shard, 9, 3), []);
});

t.test('an event that is gone is told as such', async (t) => {
  const session = ids.next();
  await commit([item(session, 1, [1, 2])], true);
  await pg.sql`delete from events where session = ${session}::uuid and seq = 1`;
  const [gone, here] = await log.pending(shardOf(session), 0, 10);
  t.equal(gone!.json, undefined);
  t.ok(here!.json);
});

t.test('a cursor moves forward only, and takes along what it has passed', async (t) => {
  const session = ids.next();
  const shard = shardOf(session);
  await commit([item(session, 1, [1, 2, 3, 4])], true);
  await log.advance([{ shard, position: 3 }]);
  t.same(await fed(), [`${shard} 4 ${session}/4`]);
  await log.advance([{ shard, position: 2 }]);
  t.same(await log.heads([shard]), [{ shard, cursor: 3, head: 4 }]);
  await log.advance([]);
});

t.test('two owners that move the same cursors at once don’t hinder each other', async (t) => {
  const sessions = sessionsOf(20);
  await commit(
    sessions.map((session) => item(session, 1, [1, 2, 3])),
    true,
  );
  const shards = sessions.map(shardOf);
  for (let round = 1; round <= 3; round += 1)
    await Promise.all([
      log.advance(shards.map((shard) => ({ shard, position: round }))),
      log.advance(shards.toReversed().map((shard) => ({ shard, position: round }))),
      log.advance(shards.toReversed().map((shard) => ({ shard, position: round - 1 }))),
    ]);
  t.same(await fed(), []);
  t.ok((await log.heads(shards)).every(({ cursor }) => cursor === 3));
});

/** Sessions of one shard. */
function neighbours(count: number): string[] {
  const found = [ids.next()];
  while (found.length < count) {
    const id = ids.next();
    if (shardOf(id) === shardOf(found[0]!)) found.push(id);
  }
  return found;
}

t.test('a batch that is split is told in the order in which it went in', async (t) => {
  const sessions = neighbours(7);
  const shard = shardOf(sessions[0]!);
  // The primary key refuses a seq that is there already: the batch is halved until this one is alone.
  await pg.sql`insert into events values (${sessions[3]!}::uuid, 1, '{}')`;
  let position = 0;
  let settled = 0;
  const told: { position: number; session: string; seq: number }[] = [];
  const journal = new PostgresJournal({
    clock: realClock,
    connect: () => openPool(pg.address, 'journal', 1, 10_000),
    newWriter: () => `x ${ids.next()}`,
    epochOf: () => 1,
    ownShards: () => [shard],
    owner: 'me',
    mayAct: () => true,
    feed: {
      nextPosition: () => (position += 1),
      committed: (items) => told.push(...committedEvents(items)),
    },
    settle: () => (settled += 1),
    log: () => undefined,
    limits: { batchEvents: 100, queueEvents: 1000, commitWaitMs: 5000 },
  });
  await journal.start();
  // Interleaved, so that both halves have early and late ones.
  for (const seq of [1, 2]) for (const session of sessions) journal.append(item(session, seq, [0]).request);
  await until('all are settled', () => told.length === 12 && settled >= 7);
  await journal.close(1000);
  const places = told.map((event) => event.position);
  t.same(
    places,
    places.toSorted((a, b) => a - b),
    'what is told rises',
  );
  t.same(
    (await log.pending(shard, 0, 100)).map(({ position: at, session, seq }) => ({
      position: at,
      session,
      seq,
    })),
    told.map(({ position: at, session, seq }) => ({ position: at, session, seq })),
    'and is what the table has',
  );
  t.notOk(told.some(({ session }) => session === sessions[3]));
});
