import t from 'tap';
import fc from 'fast-check';
import { until } from '../../scripts/processes.ts';
import type { Fence } from '../../src/actors/messages.ts';
import { messageEvent } from '../../src/actors/session-events.ts';
import { IdSource, shardOf } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import type { SessionState } from '../../src/rules/session.ts';
import { openPool } from '../../src/store/database.ts';
import { PostgresJournal, type Outcome } from '../../src/store/journal.ts';
import { PostgresProxy } from '../support/postgres-proxy.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const ids = new IdSource(realClock, realChance);
let pg: TestPostgres;
let proxy: PostgresProxy;
let writers = 0;

/** One owner of shards: a journal, and what the session actors above it would know. */
class Owner {
  // In the order of text, too: a shard's row may still name an earlier test's.
  readonly name = `writer ${String((writers += 1)).padStart(4, '0')}`;
  readonly epochs: ReadonlyMap<number, number>;
  readonly journal: PostgresJournal;
  readonly acked: string[] = [];
  readonly failed: string[] = [];
  readonly batches: number[] = [];
  readonly #sessions = new Map<string, { next: number; pending: { seq: number; id: string }[] }>();
  #crashed = false;

  constructor(
    epochs: ReadonlyMap<number, number>,
    limits: { commitWaitMs?: number; queueEvents?: number } = {},
  ) {
    this.epochs = epochs;
    this.journal = new PostgresJournal({
      clock: realClock,
      connect: () => openPool(proxy.address, this.name, 1, 10_000),
      newWriter: () => `${this.name} ${ids.next()}`,
      epochOf: (shard) => epochs.get(shard) ?? 0,
      ownShards: () => [...epochs.keys()],
      owner: 'test',
      mayAct: () => true,
      settle: (session, outcome) => this.#settle(session, outcome),
      log: () => undefined,
      limits: { batchEvents: 100, queueEvents: 10_000, commitWaitMs: 5_000, ...limits },
      observe: (count) => this.batches.push(count),
    });
  }

  /** A process that is gone hears nothing more; what it sent may still arrive. */
  crash(): void {
    this.#crashed = true;
    void this.journal.close(0);
  }

  async load(session: string): Promise<void> {
    const [row] = await pg.sql<{ last: number }[]>`
      select coalesce(max(seq), 0)::int as last from events where session = ${session}::uuid`;
    this.#sessions.set(session, { next: row!.last + 1, pending: [] });
  }

  /** It does not hear of failures: its mailbox is long. */
  isDeaf = false;
  failures = 0;

  say(
    session: string,
    options: { state?: SessionState; fence?: Fence; term?: Fence } = {},
  ): string | undefined {
    const known = this.#sessions.get(session)!;
    const id = ids.next();
    const event = messageEvent(session, known.next, realClock.wallMs(), 'me', '{"id":"me"}', id, {
      type: 'text',
      text: 'x\\"\u0001 客服',
    });
    const taken = this.journal.append({
      session,
      instance: 1,
      term: options.term ?? this.journal.fenceOf(session),
      events: [event],
      state: options.state,
      fence: options.fence,
    });
    if (!taken) return undefined;
    known.pending.push({ seq: known.next, id });
    known.next += 1;
    return id;
  }

  #settle(session: string, outcome: Outcome): void {
    if (this.#crashed) return;
    const known = this.#sessions.get(session)!;
    if (outcome.type === 'committed') {
      for (const { id } of known.pending.splice(0, outcome.count)) this.acked.push(id);
      return;
    }
    this.failures += 1;
    if (this.isDeaf) return;
    this.journal.heard(session);
    if (known.pending.length > 0) known.next = known.pending[0]!.seq;
    for (const { id } of known.pending.splice(0)) this.failed.push(id);
  }

  get unsettled(): number {
    let count = 0;
    for (const { pending } of this.#sessions.values()) count += pending.length;
    return count;
  }
}

async function takeAll(sessions: readonly string[]): Promise<Map<number, number>> {
  const shards = [...new Set(sessions.map(shardOf))];
  const rows = await pg.sql.unsafe<{ id: number; epoch: number }[]>(
    `update shards set epoch = epoch + 1, owner = $2 where id = any($1::text::int[]) returning id, epoch`,
    [`{${shards.join(',')}}`, 'test'],
  );
  return new Map(rows.map((row) => [row.id, row.epoch]));
}

async function stored(session: string): Promise<{ seq: number; id: string }[]> {
  return pg.sql<{ seq: number; id: string }[]>`
    select seq, data->>'id' as id from events where session = ${session}::uuid order by seq`;
}

function stateOf(session: string, agent: string): SessionState {
  return {
    id: session,
    state: 'chatting',
    customer: { id: ids.next(), name: 'Mei\0' },
    agent: { id: agent, name: 'Ann' },
    group: 'support',
    channel: 'web',
    subject: null,
    attributes: { note: 'a\0b' },
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

t.setTimeout(240_000);
t.before(async () => {
  pg = await startPostgres();
  proxy = await PostgresProxy.start(pg.address);
});
t.teardown(async () => {
  await proxy.stop();
  await pg.stop();
});

t.test('appends of one turn go into one transaction, and come back in order', async (t) => {
  const sessions = Array.from({ length: 20 }, () => ids.next());
  const owner = new Owner(await takeAll(sessions));
  await owner.journal.start();
  for (const session of sessions) await owner.load(session);
  for (let round = 0; round < 4; round += 1) for (const session of sessions) owner.say(session);
  await until('the commit', () => owner.acked.length === 80);
  t.same(owner.batches, [80]);
  for (const session of sessions)
    t.same(
      (await stored(session)).map((row) => row.seq),
      [1, 2, 3, 4],
    );
  await owner.journal.close(1000);
});

t.test('an owner of an old epoch is refused, and the new one sees all that was acked', async (t) => {
  const sessions = Array.from({ length: 8 }, () => ids.next());
  const old = new Owner(await takeAll(sessions));
  await old.journal.start();
  for (const session of sessions) await old.load(session);
  const first = sessions.map((session) => old.say(session)!);
  await until('the first commit', () => old.acked.length === 8);
  const owner = new Owner(await takeAll(sessions));
  await owner.journal.start();
  for (const session of sessions) await owner.load(session);
  for (const session of sessions) old.say(session);
  const second = sessions.map((session) => owner.say(session)!);
  await until('both outcomes', () => old.unsettled === 0 && owner.unsettled === 0);
  t.equal(old.acked.length, 8);
  t.equal(old.failed.length, 8, 'the stale writes are refused');
  for (const [index, session] of sessions.entries())
    t.same(
      (await stored(session)).map((row) => row.id),
      [first[index], second[index]],
    );
  await old.journal.close(0);
  await owner.journal.close(1000);
});

t.test('a promise of a shard that has moved refuses the assignment, not the neighbours', async (t) => {
  const [session, other, agent] = [ids.next(), ids.next(), ids.next()];
  const epochs = await takeAll([session, other, agent]);
  const owner = new Owner(epochs);
  await owner.journal.start();
  await owner.load(session);
  await owner.load(other);
  const shard = shardOf(agent);
  const good: Fence = { shard, epoch: epochs.get(shard)! };
  const kept = owner.say(other, { state: stateOf(other, agent), fence: good });
  owner.say(session, { state: stateOf(session, agent), fence: { ...good, epoch: good.epoch - 1 } });
  owner.say(session);
  await until('the outcome', () => owner.unsettled === 0);
  t.same(owner.acked, [kept]);
  t.equal(owner.failed.length, 2);
  t.same(await stored(session), []);
  const rows = await pg.sql`select id from sessions where agent = ${agent}::uuid`;
  t.same([...rows], [{ id: other }]);
  await owner.journal.close(1000);
});

t.test('what was decided before a failure was heard of is not taken', async (t) => {
  const [session, agent] = [ids.next(), ids.next()];
  const epochs = await takeAll([session, agent]);
  const owner = new Owner(epochs);
  await owner.journal.start();
  await owner.load(session);
  owner.isDeaf = true;
  const stale: Fence = { shard: shardOf(agent), epoch: epochs.get(shardOf(agent))! - 1 };
  owner.say(session, { state: stateOf(session, agent), fence: stale });
  await until('the failure', () => owner.failures === 1);
  t.equal(owner.say(session), undefined, 'seq 2 would stand on one that is not there');
  owner.journal.heard(session);
  await owner.load(session);
  t.ok(owner.say(session));
  await until('the commit', () => owner.acked.length === 1);
  t.same(
    (await stored(session)).map((row) => row.seq),
    [1],
  );
  await owner.journal.close(1000);
});

t.test('an instance of an earlier term of the same thread is not taken', async (t) => {
  const session = ids.next();
  const owner = new Owner(await takeAll([session]));
  await owner.journal.start();
  await owner.load(session);
  const { shard, epoch } = owner.journal.fenceOf(session);
  t.equal(owner.say(session, { term: { shard, epoch: epoch - 1 } }), undefined);
  t.ok(owner.say(session));
  await until('the commit', () => owner.acked.length === 1);
  await owner.journal.close(1000);
});

t.test('a full queue takes nothing more', async (t) => {
  const session = ids.next();
  const owner = new Owner(await takeAll([session]), { queueEvents: 10 });
  await owner.load(session);
  const taken = Array.from({ length: 15 }, () => owner.say(session)).filter((id) => id !== undefined);
  t.equal(taken.length, 10);
  await owner.journal.start();
  await until('the commit', () => owner.acked.length === 10);
  await owner.journal.close(1000);
});

t.test('an event that PostgreSQL refuses fails alone', async (t) => {
  const sessions = [ids.next(), ids.next(), ids.next()];
  const owner = new Owner(await takeAll(sessions));
  for (const session of sessions) await owner.load(session);
  // The primary key refuses a seq that is there already.
  await pg.sql`insert into events values (${sessions[1]!}::uuid, 1, '{}')`;
  for (const session of sessions) owner.say(session);
  await owner.journal.start();
  await until('the outcome', () => owner.unsettled === 0);
  t.equal(owner.acked.length, 2);
  t.equal(owner.failed.length, 1);
  await owner.journal.close(1000);
});

t.test('a commit whose answer is lost is looked up, and acked once', async (t) => {
  const sessions = [ids.next(), ids.next()];
  const owner = new Owner(await takeAll(sessions));
  await owner.journal.start();
  for (const session of sessions) await owner.load(session);
  for (const session of sessions) owner.say(session);
  await until('the first commit', () => owner.acked.length === 2);
  const before = proxy.swallowed;
  proxy.swallow();
  for (const session of sessions) owner.say(session);
  await until('the answer to be lost', () => proxy.swallowed > before);
  for (const session of sessions) owner.say(session);
  await until('the outcome', () => owner.unsettled === 0);
  t.equal(owner.acked.length, 6);
  t.equal(owner.failed.length, 0);
  for (const session of sessions)
    t.same(
      (await stored(session)).map((row) => row.seq),
      [1, 2, 3],
    );
  await owner.journal.close(1000);
});

t.test('a commit whose answer is lost is not acked for a new owner’s event in its place', async (t) => {
  const session = ids.next();
  const old = new Owner(await takeAll([session]));
  await old.journal.start();
  await old.load(session);
  const owner = new Owner(await takeAll([session]));
  await owner.journal.start();
  await owner.load(session);
  const id = owner.say(session);
  await until('the new owner’s commit', () => owner.acked.length === 1);
  const before = proxy.swallowed;
  proxy.swallow();
  old.say(session);
  await until('the answer to be lost', () => proxy.swallowed > before);
  await until('the outcome', () => old.unsettled === 0);
  t.same(old.acked, []);
  t.equal(old.failed.length, 1);
  t.same(
    (await stored(session)).map((row) => row.id),
    [id],
  );
  await old.journal.close(0);
  await owner.journal.close(1000);
});

t.test('a new owner waits for the old one’s transaction, and sees what it wrote', async (t) => {
  const session = ids.next();
  const old = new Owner(await takeAll([session]));
  await old.journal.start();
  await old.load(session);
  // Somebody holds the row’s place, so that the old owner’s transaction stops half way, with its fence held.
  const blocker = openPool(pg.address, 'blocker', 1, 30_000);
  await blocker`begin`;
  await blocker`insert into events values (${session}::uuid, 1, '{}')`;
  const id = old.say(session);
  const waits = async (query: string): Promise<boolean> => {
    const rows = await pg.sql`
      select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like ${`%${query}%`}`;
    return rows.length > 0;
  };
  const end = realClock.nowMs() + 5000;
  while (!(await waits('added as')) && realClock.nowMs() < end);
  let seen: string[] | undefined;
  const taking = takeAll([session]).then(async () => {
    seen = (await stored(session)).map((row) => row.id);
  });
  while (!(await waits('set epoch')) && seen === undefined && realClock.nowMs() < end);
  t.equal(seen, undefined, 'the new owner waits');
  await blocker`rollback`;
  await taking;
  t.same(seen, [id]);
  await until('the old owner’s ack', () => old.acked.length === 1);
  await blocker.end();
  await old.journal.close(0);
});

type Step =
  | { readonly do: 'say'; readonly session: number; readonly count: number }
  | { readonly do: 'sayStale'; readonly session: number }
  | { readonly do: 'assign'; readonly session: number; readonly stale: boolean }
  | { readonly do: 'cut' }
  | { readonly do: 'swallow' }
  | { readonly do: 'turn' }
  | { readonly do: 'settle' }
  | { readonly do: 'takeOver'; readonly crash: boolean };

const sessionsCount = 5;
const session = fc.integer({ min: 0, max: sessionsCount - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('say' as const), session, count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sayStale' as const), session }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('assign' as const), session, stale: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'cut' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'swallow' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'turn' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'settle' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('takeOver' as const), crash: fc.boolean() }) },
);

t.test(
  'with cut connections, crashes and two owners at once nothing acked is missing and nothing refused is in',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const sessions = Array.from({ length: sessionsCount }, () => ids.next());
        const owners: Owner[] = [];
        const begin = async (): Promise<Owner> => {
          const owner = new Owner(await takeAll(sessions));
          owners.push(owner);
          await owner.journal.start();
          for (const id of sessions) await owner.load(id);
          return owner;
        };
        let owner = await begin();
        for (const it of steps) {
          if (it.do === 'say') for (let n = 0; n < it.count; n += 1) owner.say(sessions[it.session]!);
          if (it.do === 'sayStale') owners.at(-2)?.say(sessions[it.session]!);
          if (it.do === 'assign') {
            const shard = shardOf(sessions[0]!);
            const epoch = owner.epochs.get(shard)! - (it.stale ? 1 : 0);
            owner.say(sessions[it.session]!, {
              state: stateOf(sessions[it.session]!, ids.next()),
              fence: { shard, epoch },
            });
          }
          if (it.do === 'cut')
            await pg.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like ${`kefu ${owner.name}%`}`;
          if (it.do === 'swallow') proxy.swallow();
          if (it.do === 'turn') await new Promise<void>((resolve) => setImmediate(resolve));
          if (it.do === 'settle') await until('a settling', () => owner.unsettled === 0);
          if (it.do === 'takeOver') {
            if (it.crash) owner.crash();
            owner = await begin();
          }
        }
        await until('the end', () => owner.unsettled === 0);
        for (const one of owners) await one.journal.close(2000);
        const all = new Set<string>();
        for (const id of sessions) {
          const rows = await stored(id);
          if (rows.some((row, index) => row.seq !== index + 1)) throw new Error('a gap in seq');
          for (const row of rows) all.add(row.id);
        }
        for (const one of owners) {
          for (const id of one.acked)
            if (!all.has(id)) throw new Error(`${one.name}: an acked event is missing`);
          for (const id of one.failed) if (all.has(id)) throw new Error(`${one.name}: a refused event is in`);
        }
      }),
      { numRuns: Number(process.env['JOURNAL_RUNS'] ?? 40), endOnFailure: true },
    );
    t.pass('40 histories');
  },
);
