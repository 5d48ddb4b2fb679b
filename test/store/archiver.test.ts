import fc from 'fast-check';
import t from 'tap';
import { messageEvent } from '../../src/actors/session-events.ts';
import { KefuError } from '../../src/core/errors.ts';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { Archiver, type Step } from '../../src/store/archiver.ts';
import { Compactor } from '../../src/store/compactor.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import type { ObjectContent, ObjectStore } from '../../src/store/object-store.ts';
import { Rights } from '../../src/store/rights.ts';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let pg: TestPostgres;
let reader: Reader;
const ids = new IdSource(realClock, realChance);
const pool = new SegmentPool(1);
t.setTimeout(280_000);
t.before(async () => {
  pg = await startPostgres();
  reader = new Reader(pg.sql, realClock, 10_000);
});
t.teardown(async () => {
  await pool.close();
  await pg.stop();
});

/** What an object store may do at its next calls. */
type Fault = 'putFails' | 'putLies' | 'putUnanswered' | 'getFails' | 'getShort' | 'getFlips';

const broken = new KefuError('unavailable', 'the object store is away');

/** A real store that fails when it is told to; each fault happens once. */
function faulty(store: ObjectStore, faults: Fault[]): ObjectStore {
  const next = (kind: string): Fault | undefined =>
    faults[0]?.startsWith(kind) === true ? faults.shift() : undefined;
  return {
    async put(key: string, content: ObjectContent, options) {
      const fault = next('put');
      if (fault === 'putFails') throw broken;
      const lie = Buffer.from(content as Uint8Array);
      if (fault === 'putLies') lie[lie.length >> 1]! ^= 1;
      const stored = await store.put(key, fault === 'putLies' ? lie : content, options);
      if (fault === 'putUnanswered') throw broken;
      return stored;
    },
    async get(key, range) {
      const fault = next('get');
      if (fault === 'getFails') throw broken;
      const read = await store.get(key, range);
      if (fault === undefined) return read;
      const bytes = Buffer.concat(await read.stream.toArray());
      if (fault === 'getFlips' && bytes.length > 0) bytes[bytes.length >> 1]! ^= 4;
      const { Readable } = await import('node:stream');
      return {
        size: read.size,
        stream: Readable.from([fault === 'getShort' ? bytes.subarray(0, -1) : bytes]),
      };
    },
    head: (key) => store.head(key),
    delete: (key) => store.delete(key),
    list: (prefix) => store.list(prefix),
  };
}

class Crashed extends Error {}

/** A shop's old sessions, in PostgreSQL and in the archive, and beside them the plain list of what must be read. */
class Shop {
  readonly faults: Fault[] = [];
  readonly model = new Map<string, string[]>();
  readonly customers = new Map<string, string>();
  readonly store: ObjectStore;
  readonly #cold: ColdEvents;
  readonly #dictionaries = new ArchiveDictionaries(reader);
  epoch = 0;

  private constructor(store: ObjectStore) {
    this.store = faulty(store, this.faults);
    this.#cold = new ColdEvents({
      reader,
      store: this.store,
      dictionaries: this.#dictionaries,
      readsMax: 64,
    });
  }

  static async open(directory: string): Promise<Shop> {
    await pg.sql.unsafe(
      'truncate events, cold, segments, sessions, customers, files, feed, search, erasures cascade',
    );
    const shop = new Shop(await openFileStore({ directory, wallMs: () => realClock.wallMs() }));
    await shop.takeOver();
    return shop;
  }

  /** Another owner: whoever archived before must not go on. */
  async takeOver(): Promise<void> {
    const [row] = await pg.sql<
      { epoch: number }[]
    >`update shards set epoch = epoch + 1 where id = 9 returning epoch`;
    this.epoch = row!.epoch;
  }

  async talk(events: number): Promise<string> {
    const [session, customer] = [ids.next(), ids.next()];
    await pg.sql`insert into customers (id, name, channel, attributes, created_at)
      values (${customer}::uuid, 'Mei', 'web', '{}', 0)`;
    await pg.sql`
      insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
        opened_at, closed_at, rated)
      values (${session}::uuid, 'closed', ${customer}::uuid, 'Mei', 'support', 'web', '{}', 0, 0, 0, ${Date.now() - 1000}, false)`;
    this.model.set(session, []);
    this.customers.set(session, customer);
    for (let seq = 1; seq <= events; seq += 1) await this.#add(session, `第 ${seq} 句: order ${ids.next()}`);
    return session;
  }

  /** Something comes after the closing, as a rating does: with the sessions row, in one transaction. */
  async rate(session: string): Promise<void> {
    if (this.model.get(session) === undefined) return;
    await this.#add(session, 'rated');
  }

  async #add(session: string, text: string): Promise<void> {
    const all = this.model.get(session)!;
    const seq = all.length + 1;
    const { json } = messageEvent(
      session,
      seq,
      Date.now(),
      'me',
      '{"kind":"customer","id":"me","name":"Mei"}',
      ids.next(),
      text,
    );
    await pg.sql`
      with added as (insert into events values (${session}::uuid, ${seq}, ${json}::text::json))
      update sessions set cold = false, rated = true where id = ${session}::uuid`;
    all.push(json);
  }

  async erase(session: string): Promise<void> {
    const rights = new Rights({
      reader,
      clock: realClock,
      ids,
      forget: () => undefined,
      deleteObject: (object) => this.store.delete(object),
    });
    const by = { id: ids.next(), name: 'Admin' };
    await rights.askErasure(this.customers.get(session)!, by, 'asked');
    await rights.erase(this.customers.get(session)!);
    this.model.delete(session);
  }

  archiver(step?: (name: Step) => void | Promise<void>): Archiver {
    return new Archiver(
      {
        sql: pg.sql,
        store: this.store,
        dictionaries: this.#dictionaries,
        cold: this.#cold,
        pool,
        clock: realClock,
        ids,
        afterMs: 0,
        segmentBytes: 3000,
        eventsPerSecond: Infinity,
        log: () => undefined,
        observe: () => undefined,
        ...(step === undefined ? {} : { step }),
      },
      { shard: 9, epoch: this.epoch },
    );
  }

  compactor(step?: (name: Step) => void | Promise<void>): Compactor {
    return new Compactor(
      {
        sql: pg.sql,
        store: this.store,
        dictionaries: this.#dictionaries,
        pool,
        clock: realClock,
        ids,
        eventsPerSecond: Infinity,
        share: 0.2,
        segmentBytes: 30_000,
        mergeLeast: 2,
        eraseMs: 0,
        log: () => undefined,
        observe: () => undefined,
        ...(step === undefined ? {} : { step }),
      },
      { shard: 9, epoch: this.epoch },
    );
  }

  /** Every session, whole and in any part, as the list has it; and nothing of the others. */
  async check(): Promise<void> {
    const history = new TieredHistory(reader, 1, this.#cold);
    for (const [session, events] of this.model) {
      const found = await history.range(session, 0, events.length, events.length);
      t.strictSame(
        found.map(({ json }) => json),
        events,
      );
      const from = events.length >> 1;
      const part = await history.range(session, from, events.length, 3);
      t.strictSame(
        part.map(({ json }) => json),
        events.slice(from, from + 3),
      );
    }
    const list = [...this.model.keys()].join(',');
    const [strange] = await pg.sql<{ count: string }[]>`
      select count(*) from (select session from events union select session from cold) a
      where session <> all(string_to_array(${list}, ',')::uuid[])`;
    t.equal(Number(strange!.count), 0, 'nothing is left of what was erased');
    const [twice] = await pg.sql<{ count: string }[]>`
      select count(*) from events e join cold c on c.session = e.session and e.seq <= c.last_seq`;
    t.equal(Number(twice!.count), 0, 'no event is in two tiers');
  }

  /** After a compaction there is nothing in the store that nobody points at, but for dictionaries and indexes. */
  async checkStored(): Promise<void> {
    const objects: string[] = [];
    for await (const { key } of this.store.list('archive/')) objects.push(key);
    const rows = await pg.sql<{ object: string; blocks: string; live: string }[]>`
      select s.object, s.blocks, coalesce(sum(c.length), 0) as live from segments s
      left join cold c on c.segment = s.id group by s.object, s.blocks`;
    t.same(objects.toSorted(), rows.map(({ object }) => object).toSorted());
    for (const { object, blocks, live } of rows) t.equal(Number(live), Number(blocks), object);
  }
}

const action = fc.oneof(
  fc.record({ do: fc.constant('talk' as const), events: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ do: fc.constant('rate' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('erase' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('archive' as const) }),
  fc.record({
    do: fc.constantFrom('compact' as const, 'merge' as const),
    step: fc.constantFrom<Step | undefined>(undefined, 'built', 'written', 'verified', 'ready'),
    how: fc.constantFrom('crash', 'erase', 'rate'),
    which: fc.nat(),
  }),
  fc.record({
    do: fc.constant('crash' as const),
    step: fc.constantFrom<Step>('begun', 'built', 'written', 'verified', 'ready', 'moved'),
  }),
  fc.record({
    do: fc.constant('fault' as const),
    fault: fc.constantFrom<Fault>('putFails', 'putLies', 'putUnanswered', 'getFails', 'getShort', 'getFlips'),
  }),
  fc.record({
    do: fc.constant('race' as const),
    step: fc.constantFrom<Step>('built', 'written', 'verified', 'ready'),
    which: fc.nat(),
    erase: fc.boolean(),
  }),
);

t.test('whatever happens to the archive, every read is what a plain list says', async (t) => {
  let rounds = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 12 }), async (actions) => {
      rounds += 1;
      const shop = await Shop.open(t.testdir());
      for (let n = 0; n < 3; n += 1) await shop.talk(4);
      const pick = (which: number): string | undefined =>
        [...shop.model.keys()][which % Math.max(1, shop.model.size)];
      for (const one of actions) {
        if (one.do === 'talk') await shop.talk(one.events);
        const session = 'which' in one ? pick(one.which) : undefined;
        if (one.do === 'rate' && session !== undefined) await shop.rate(session);
        if (one.do === 'erase' && session !== undefined) await shop.erase(session);
        if (one.do === 'archive') await shop.archiver().round();
        if (one.do === 'compact' || one.do === 'merge') {
          let done = false;
          const meanwhile = async (name: Step): Promise<void> => {
            if (name !== one.step || done) return;
            done = true;
            if (one.how === 'crash') throw new Crashed();
            if (session !== undefined) await (one.how === 'erase' ? shop.erase(session) : shop.rate(session));
          };
          const compactor = shop.compactor(meanwhile);
          await (one.do === 'merge' ? compactor.merge() : compactor.round()).catch((error: unknown) => {
            if (!(error instanceof Crashed)) throw error;
          });
        }
        if (one.do === 'crash') {
          const crash = (name: Step): void => {
            if (name === one.step) throw new Crashed();
          };
          await shop
            .archiver(crash)
            .round()
            .catch((error: unknown) => {
              if (!(error instanceof Crashed)) throw error;
            });
          await shop.takeOver();
        }
        if (one.do === 'fault') {
          shop.faults.push(one.fault);
          // It fails, or finds out by itself; both leave everything as it was.
          await shop
            .archiver()
            .round()
            .catch(() => undefined);
          shop.faults.length = 0;
        }
        if (one.do === 'race') {
          let done = false;
          const meanwhile = async (name: Step): Promise<void> => {
            if (name !== one.step || done || session === undefined) return;
            done = true;
            if (one.erase) await shop.erase(session);
            else await shop.rate(session);
          };
          await shop.archiver(meanwhile).round();
        }
        await shop.check();
      }
      await shop.archiver().round();
      await shop.compactor().round();
      await shop.check();
      await shop.checkStored();
      const [left] = await pg.sql<{ warm: string; writing: string }[]>`
        select (select count(*) from events) as warm, (select count(*) from segments where state = 'writing') as writing`;
      t.same([Number(left!.warm), Number(left!.writing)], [0, 0], 'in the end all is in the archive');
    }),
    { numRuns: 25, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
  t.ok(rounds > 3, `${rounds} histories`);
});

t.test('an archiver that lost its shard changes nothing, wherever it stood', async (t) => {
  for (const step of ['built', 'written', 'verified', 'ready'] as const) {
    const shop = await Shop.open(t.testdir());
    await shop.talk(5);
    const old = shop.archiver(async (name) => {
      if (name === step) await shop.takeOver();
    });
    await t.rejects(old.round(), { message: /another node archives now/ }, step);
    await shop.check();
    const [{ cold } = { cold: '0' }] = await pg.sql<{ cold: string }[]>`select count(*) as cold from cold`;
    t.equal(Number(cold), 0, `${step}: nothing has moved`);
    await shop.archiver().round();
    await shop.check();
  }
});

t.test('a late archiver does not take for abandoned what its successor is writing', async (t) => {
  const shop = await Shop.open(t.testdir());
  await shop.talk(5);
  const late = shop.archiver();
  await shop.takeOver();
  const lost: unknown[] = [];
  await shop
    .archiver(async (name) => {
      if (name === 'verified' || name === 'ready')
        await late.round().catch((error: unknown) => lost.push(error));
    })
    .round();
  t.match(lost, [{ message: /another node archives now/ }, { message: /another node archives now/ }]);
  await shop.check();
});

t.test('many small segments become few, and every session is read all the time', async (t) => {
  const shop = await Shop.open(t.testdir());
  const sessions: string[] = [];
  for (let n = 0; n < 30; n += 1) {
    sessions.push(await shop.talk(3));
    await shop.archiver().round();
  }
  const count = async (): Promise<number> => {
    const [row] = await pg.sql<
      { count: string }[]
    >`select count(*) as count from segments where state = 'ready'`;
    return Number(row!.count);
  };
  t.equal(await count(), 30);
  // Before anybody reads: one that is being erased is neither there nor gone.
  await shop.erase(sessions[7]!);
  let isOver = false;
  let reads = 0;
  const reader = (async () => {
    while (!isOver) {
      await shop.check();
      reads += 1;
    }
  })();
  t.equal(await shop.compactor().merge(), 30);
  isOver = true;
  await reader;
  t.ok(reads > 1, `read ${reads} times meanwhile`);
  const merged = await count();
  t.ok(merged <= 3, `${merged} segments`);
  await shop.check();
  await shop.checkStored();
  t.equal(await shop.compactor().merge(), merged > 1 ? merged : 0, 'again only while they are small');
});

t.test('a broken segment stays out of a merge, as it is', async (t) => {
  const shop = await Shop.open(t.testdir());
  for (let n = 0; n < 4; n += 1) {
    await shop.talk(3);
    await shop.archiver().round();
  }
  const [bad] = await pg.sql<
    { object: string; size: string }[]
  >`select object, bytes as size from segments order by id offset 1 limit 1`;
  const bytes = Buffer.concat(await (await shop.store.get(bad!.object)).stream.toArray());
  const sound = Buffer.from(bytes);
  bytes[20]! ^= 1;
  await shop.store.put(bad!.object, bytes, { maxBytes: bytes.length });
  t.equal(await shop.compactor().merge(), 3);
  await shop.store.put(bad!.object, sound, { maxBytes: sound.length });
  await shop.check();
  t.equal((await pg.sql`select 1 from segments where object = ${bad!.object} and state = 'ready'`).length, 1);
});
