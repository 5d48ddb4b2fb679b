import t from 'tap';
import type { Clock } from '../../src/core/clock.ts';
import { KefuError } from '../../src/core/errors.ts';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { OrphanSweep, orphansMax } from '../../src/store/orphan-sweep.ts';
import { openS3Store } from '../../src/store/object-store-s3.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { bucket, S3Server } from '../support/s3.ts';

const hourMs = 3_600_000;
const ids = new IdSource(realClock, realChance);
let pg: TestPostgres;
t.setTimeout(120_000);
t.before(async () => {
  pg = await startPostgres();
});
t.teardown(() => pg.stop());

interface Shelf {
  readonly store: ObjectStore;
  readonly said: string[];
  readonly seen: Record<string, number>;
  sweep(store?: ObjectStore): OrphanSweep;
  keys(): Promise<string[]>;
  put(key?: string): Promise<string>;
}

/** An object store an hour and a minute later than it was filled. */
async function shelf(store: ObjectStore): Promise<Shelf> {
  await pg.sql`truncate segments cascade`;
  const [row] = await pg.sql<{ epoch: number }[]>`
    update shards set epoch = epoch + 1 where id = 9 returning epoch`;
  const said: string[] = [];
  const seen: Record<string, number> = {};
  const clock: Clock = {
    wallMs: () => realClock.wallMs() + hourMs + 60_000,
    nowMs: () => realClock.nowMs(),
    after: (ms, work) => realClock.after(ms, work),
    soon: (work) => realClock.soon(work),
  };
  return {
    store,
    said,
    seen,
    sweep(other = store) {
      return new OrphanSweep(
        {
          sql: pg.sql,
          store: other,
          clock,
          ageMs: hourMs,
          page: 3,
          log: (_level, text) => said.push(text),
          observe: (what, count) => (seen[what] = (seen[what] ?? 0) + count),
        },
        { shard: 9, epoch: row!.epoch },
      );
    },
    async keys() {
      const found: string[] = [];
      for await (const { key } of store.list('')) found.push(key);
      return found.toSorted((a, b) => (a < b ? -1 : 1));
    },
    async put(key = `archive/${ids.next()}.seg`) {
      await store.put(key, Buffer.from('talk'), { maxBytes: 100 });
      return key;
    },
  };
}

/** A store of which some calls are others. */
function but(store: ObjectStore, other: Partial<ObjectStore>): ObjectStore {
  return {
    put: (key, content, options) => store.put(key, content, options),
    get: (key, range) => store.get(key, range),
    head: (key) => store.head(key),
    delete: (key) => store.delete(key),
    list: (prefix) => store.list(prefix),
    ...other,
  };
}

function idOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

async function know(object: string, state: string): Promise<void> {
  await pg.sql`insert into segments (id, object, state, made_at) values (${ids.next()}::uuid, ${object}, ${state}, 0)`;
}

const folder = (t: Tap): Promise<ObjectStore> =>
  openFileStore({ directory: t.testdir(), wallMs: () => realClock.wallMs() });
type Tap = { testdir(): string };

for (const kind of ['a folder', 'S3'] as const)
  t.test(`${kind}: what no row knows is deleted, and nothing else`, async (t) => {
    const s3 = kind === 'S3' ? await S3Server.start(t.testdir()) : undefined;
    t.teardown(() => s3?.stop());
    const location = {
      kind: 's3',
      bucket,
      prefix: 'x/',
      endpoint: s3?.endpoint ?? '',
      pathStyle: true,
    } as const;
    const it = await shelf(
      s3 === undefined
        ? await folder(t)
        : openS3Store({ location, clock: realClock, chance: realChance, pageObjects: 4 }),
    );
    const kept: string[] = [];
    for (const state of ['writing', 'ready', 'leaving', 'ready', 'ready']) {
      kept.push(await it.put());
      await know(kept.at(-1)!, state);
    }
    kept.push(await it.put('archive/notes.txt'), await it.put(`files/${ids.next()}`));
    for (let n = 0; n < 5; n += 1) await it.put();
    t.equal(await it.sweep().round(), 5);
    t.same(
      await it.keys(),
      kept.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    t.same(it.seen, { orphans: 5 });
    t.match(it.said[0], /was known to nobody: it is deleted/);
    t.equal(await it.sweep().round(), 0);
  });

t.test('a young one is left, and one that is about to be published', async (t) => {
  const it = await shelf(await folder(t));
  const young = `archive/${idOf(realClock.wallMs() + 30 * 60_000)}.seg`;
  await it.put(young);
  const late = await it.put();
  // Its row comes after it was listed and before it is deleted.
  const slow: ObjectStore = but(it.store, {
    async *list(prefix: string) {
      yield* it.store.list(prefix);
      await know(late, 'writing');
    },
  });
  t.equal(await it.sweep(slow).round(), 0);
  t.same((await it.keys()).length, 2);
});

t.test('another database’s objects are left alone, and told of', async (t) => {
  const it = await shelf(await folder(t));
  for (let n = 0; n <= orphansMax; n += 1) await it.put();
  t.equal(await it.sweep().round(), 0);
  t.match(it.said, [/more than 16 objects of the archive are unknown to this database.*None is deleted/]);
  t.equal((await it.keys()).length, orphansMax + 1);
  const other = await shelf(await folder(t));
  await other.put();
  await other.put('archive/01890000-0000-7000-8000-000000000000.seg');
  t.equal(await other.sweep().round(), 0, 'from before this database was made');
  t.equal((await other.keys()).length, 2);
});

t.test('a store that fails, or another owner, ends the sweep', async (t) => {
  const it = await shelf(await folder(t));
  await it.put();
  const fail = (): never => {
    throw new KefuError('unavailable', 'the object store is away');
  };
  for (const name of ['list', 'delete'] as const) {
    const away: ObjectStore = but(it.store, { [name]: fail });
    await t.rejects(it.sweep(away).round(), { code: 'unavailable' });
  }
  const old = it.sweep();
  await pg.sql`update shards set epoch = epoch + 1 where id = 9`;
  await t.rejects(old.round(), { message: /another node archives now/ });
  t.equal((await it.keys()).length, 1);
});
