import t from 'tap';
import { talkSessions } from '../../bench/history/talk-data.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader, type Sql } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import type { ObjectRange, ObjectStore } from '../../src/store/object-store.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import { encodeBlock, SegmentWriter, type SegmentEntry } from '../../src/store/segment.ts';

interface Archive {
  readonly cold: ColdEvents;
  readonly history: TieredHistory;
  readonly texts: ReadonlyMap<string, readonly string[]>;
  /** What the object store was asked for. */
  readonly asked: (ObjectRange | undefined)[];
  /** Flips a bit of the object. */
  flip(byte: number): Promise<void>;
  readonly entries: readonly SegmentEntry[];
}

/** Some sessions in one segment; a database that knows their places, and no events. */
async function archive(directory: string, readsMax = 64): Promise<Archive> {
  const texts = new Map(
    [...talkSessions({ seed: 5, sessions: 20 })].map(({ session, events }) => [
      session,
      events.map(({ json }) => json),
    ]),
  );
  const writer = new SegmentWriter();
  for (const [session, events] of texts)
    writer.add(session, encodeBlock(session, events, undefined), events.length, () => undefined);
  const { content, entries } = writer.finish();
  const files = await openFileStore({ directory, wallMs: () => realClock.wallMs() });
  const object = 'archive/one.seg';
  await files.put(object, content, { maxBytes: content.length });
  const asked: (ObjectRange | undefined)[] = [];
  const store: ObjectStore = {
    put: (key, bytes, options) => files.put(key, bytes, options),
    get(key, range) {
      asked.push(range);
      return files.get(key, range);
    },
    head: (key) => files.head(key),
    delete: (key) => files.delete(key),
    list: (prefix) => files.list(prefix),
  };
  const sql = ((parts: TemplateStringsArray, session: string): Promise<object[]> => {
    const entry = parts.join('').includes('from cold')
      ? entries.find((one) => one.session === session)
      : undefined;
    return Promise.resolve(entry === undefined ? [] : [{ ...entry, object, last_seq: entry.lastSeq }]);
  }) as unknown as Sql;
  const reader = new Reader(sql, realClock, 1000);
  const cold = new ColdEvents({ reader, store, dictionaries: new ArchiveDictionaries(reader), readsMax });
  return {
    cold,
    history: new TieredHistory(reader, 2 ** 20, cold),
    texts,
    asked,
    entries,
    async flip(byte) {
      const bytes = Buffer.from(content);
      bytes[byte]! ^= 1;
      await files.put(object, bytes, { maxBytes: bytes.length });
    },
  };
}

t.test('many readers of a cold session make one ranged read, and the next ones none', async (t) => {
  const { history, texts, asked, entries } = await archive(t.testdir());
  const [session, events] = [...texts][3]!;
  const all = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => history.range(session, n % 3, events.length, 1000)),
  );
  for (const [n, found] of all.entries())
    t.same(
      found.map(({ json }) => json),
      events.slice(n % 3),
    );
  const { place, length } = entries[3]!;
  t.same(asked, [{ offset: place, length }]);
  const again = await history.range(session, 0, events.length, 1000);
  t.equal(again.length, events.length);
  t.equal(asked.length, 1, 'now it is in memory');
});

t.test('a flipped bit is told with its place, and the others of its segment stay readable', async (t) => {
  const { history, texts, entries, flip } = await archive(t.testdir());
  const [bad] = entries.slice(7);
  await flip(bad!.place + 5);
  for (const [session, events] of texts) {
    const read = async (): Promise<readonly unknown[]> => history.range(session, 0, events.length, 1000);
    if (session === bad!.session)
      await t.rejects(read(), { message: new RegExp(`${session} at byte ${bad!.place}`) });
    else t.equal((await read()).length, events.length);
  }
});

t.test('more sessions at once than may be read are busy, and nothing is left of that', async (t) => {
  const { cold, texts } = await archive(t.testdir(), 4);
  const results = await Promise.allSettled([...texts.keys()].map((session) => cold.events(session)));
  const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  t.equal(refused.length, texts.size - 4);
  for (const { reason } of refused) t.match(reason, { code: 'busy', retryAfterMs: 500 });
  for (const [session, events] of texts) t.equal((await cold.events(session))?.length, events.length);
});
