import t from 'tap';
import { talkSessions } from '../../bench/history/talk-data.ts';
import { KefuError } from '../../src/core/errors.ts';
import { queryWords } from '../../src/core/search-words.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { Reader } from '../../src/store/database.ts';
import { Search } from '../../src/store/search.ts';
import { SearchIndex, textsOf, type SearchIndexOptions } from '../../src/store/search-index.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let pg: TestPostgres;
let reader: Reader;
t.setTimeout(120_000);
t.before(async () => {
  pg = await startPostgres();
  reader = new Reader(pg.sql, realClock, 10_000);
});
t.teardown(() => pg.stop());

const talk = [...talkSessions({ seed: 5, sessions: 60 })].map(({ session, customer, events }) => ({
  session,
  customer,
  texts: events.flatMap(({ json }) => textsOf(json)),
  events: events.map(({ json }) => json),
}));

function indexWith(
  cold: (session: string) => Promise<undefined>,
  failures: unknown[] = [],
  more: Partial<SearchIndexOptions> = {},
): SearchIndex {
  return new SearchIndex({
    reader,
    cold: { events: cold },
    clock: realClock,
    owns: () => true,
    everyMs: 0,
    touchedMax: 1000,
    wordsMax: 100_000,
    log: (_level, text) => failures.push(text),
    observe: () => undefined,
    ...more,
  });
}

async function put(sessions: typeof talk): Promise<void> {
  for (const { session, customer, events } of sessions) {
    await pg.sql`
      insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
        opened_at, closed_at, rated)
      values (${session}::uuid, 'closed', ${customer.id}::uuid, ${customer.name}, 'support', 'web', '{}', 0, 0, 0,
        ${Date.now()}, false)`;
    for (const [index, json] of events.entries())
      await pg.sql`insert into events values (${session}::uuid, ${index + 1}, ${json}::text::json)`;
  }
}

const find = async (q: string): Promise<readonly string[]> =>
  (await new Search(reader, realClock).find({ q, limit: 1000 })).sessions;

/** Something of it was committed, but not what: it is read from the tables. */
const untold = (session: string) => ({ request: { session, events: [] } });

t.test('what the index finds is what a look through all texts finds', async (t) => {
  await put(talk.slice(0, 40));
  const index = indexWith(() => Promise.resolve(undefined));
  for (const { session } of talk.slice(0, 40)) index.committed([untold(session)]);
  await index.flush();
  const words = new Set(
    talk.slice(0, 10).flatMap(({ texts }) => texts.flatMap((text) => queryWords(text.slice(0, 6)))),
  );
  t.ok(words.size > 20);
  for (const word of words) {
    const found = await find(word);
    const naive = talk
      .slice(0, 40)
      .filter(({ texts, customer }) => [...texts, customer.name].some((text) => hasWord(text, word)))
      .map(({ session }) => session);
    for (const session of naive) t.ok(found.includes(session), `${word} in ${session}`);
    t.ok(found.length <= 40);
  }
});

/** Chinese anywhere; Latin words as a whole. */
function hasWord(text: string, word: string): boolean {
  const folded = text.normalize('NFKC').toLowerCase();
  if (/\p{Script=Han}/u.test(word)) return folded.includes(word);
  return folded.split(/[^\p{L}\p{N}\p{M}]+|(?=\p{Script=Han})/u).includes(word);
}

t.test(
  'the words of what is committed are kept for the index; a gap, or too many, are read again',
  async (t) => {
    const some = talk.slice(50, 60);
    await put(some);
    for (const wordsMax of [100_000, 20, 0]) {
      await pg.sql`delete from search`;
      const counts: Record<string, number> = {};
      const observe = (what: string, count: number): void =>
        void (counts[what] = (counts[what] ?? 0) + count);
      const index = indexWith(() => Promise.resolve(undefined), [], { wordsMax, observe });
      for (const [place, { session, events }] of some.entries())
        for (const [at, json] of events.entries()) {
          // The first session’s second event is not told of; the last one is told of when the others were indexed.
          if (place === 0 && at === 1) continue;
          index.committed([{ request: { session, events: [{ seq: at + 1, json }] } }]);
          if (place === some.length - 1 && at === 1) await index.flush();
        }
      await index.flush();
      for (const { session, texts } of some)
        for (const text of texts.slice(0, 3))
          for (const word of queryWords(text).slice(0, 3))
            t.ok((await find(word)).includes(session), `${word} in ${session}, with ${wordsMax} words kept`);
      t.equal(
        counts['events'],
        some.reduce((sum, { events }) => sum + events.length, 0),
      );
      if (wordsMax > 1000) t.equal(counts['reread'], 1, 'only the one with the gap');
      else t.ok(counts['reread']! > 5);
    }
  },
);

t.test('a session that can’t be read does not hold up the others', async (t) => {
  await put(talk.slice(40, 44));
  const [bad, ...good] = talk.slice(40, 44);
  await pg.sql`delete from events where session = ${bad!.session}::uuid and seq < 3`;
  const failures: unknown[] = [];
  const index = indexWith((session) => {
    if (session === bad!.session) throw new KefuError('unavailable', 'the object store is away');
    return Promise.resolve(undefined);
  }, failures);
  for (const { session } of [bad!, ...good]) index.committed([untold(session)]);
  const flushed = index.flush();
  const isIndexed = async (session: string): Promise<boolean> =>
    (await pg.sql`select 1 from search where session = ${session}::uuid`).length > 0;
  const endMs = performance.now() + 20_000;
  while (!(await isIndexed(good.at(-1)!.session))) {
    if (performance.now() > endMs) throw new Error('the others wait');
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  for (const { session } of good) t.ok(await isIndexed(session));
  t.notOk(await isIndexed(bad!.session));
  await pg.sql`delete from sessions where id = ${bad!.session}::uuid`;
  await flushed;
});

t.test('what nobody told of is found by looking through the tables', async (t) => {
  await put(talk.slice(44, 48));
  const index = indexWith(() => Promise.resolve(undefined));
  index.opened([...Array(256).keys()]);
  index.start();
  const endMs = performance.now() + 20_000;
  for (const { session } of talk.slice(44, 48))
    while ((await pg.sql`select 1 from search where session = ${session}::uuid`).length === 0) {
      if (performance.now() > endMs) throw new Error('it was never found');
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  t.pass();
  index.stop();
});
