import { realClock } from '../../src/core/real-clock.ts';
import { Reader } from '../../src/store/database.ts';
import { SearchIndex } from '../../src/store/search-index.ts';
import { Search } from '../../src/store/search.ts';
import type { TestPostgres } from '../../test/support/postgres.ts';
import { none, percentile, type Row } from '../support/report.ts';
import type { Plan } from './index.ts';
import type { Talk } from './load.ts';

/** Words by how many sessions of a hundred have them. */
const bands = [
  { name: 'rare', from: 0, to: 0.0005 },
  { name: 'middling', from: 0.005, to: 0.03 },
  { name: 'common', from: 0.1, to: 0.6 },
] as const;

/** One word and two filters, the first page of 20, newest first. */
export async function searches(
  pg: TestPostgres,
  talk: Talk,
  plan: Plan,
  progress: (text: string) => void,
): Promise<{ rows: Row[]; work: string }> {
  const reader = new Reader(pg.sql, realClock, 120_000);
  const indexMs = await indexAll(pg, talk, reader, progress);
  await pg.sql.unsafe('vacuum analyze search');
  const search = new Search(reader, realClock);
  const [group] = await pg.sql<{ name: string }[]>`select group_name as name from sessions limit 1`;
  const words = await pg.sql<{ word: string; ndoc: number }[]>`
    select word, ndoc from ts_stat('select words from search order by md5(session::text) limit 20000')
    where length(word) > 1 order by md5(word)`;
  const sampled = Math.min(20_000, talk.sessions.length);
  const rows: Row[] = [
    [
      'indexing, messages/s of one thread',
      Math.round(talk.messages / (indexMs / 1000)).toLocaleString('en'),
      none,
      none,
    ],
  ];
  let found = 0;
  for (const { name, from, to } of bands) {
    const chosen = words
      .filter(({ ndoc }) => ndoc / sampled > from && ndoc / sampled <= to)
      .slice(0, plan.searches);
    const times: number[] = [];
    for (const { word } of chosen) {
      const startMs = performance.now();
      const { sessions } = await search.find({ q: word, state: 'closed', group: group!.name, limit: 20 });
      times.push(performance.now() - startMs);
      found += sessions.length;
    }
    rows.push([
      `search, ${talk.messages.toLocaleString('en')} messages, one ${name} word and two filters, p50 / p99 of ${times.length}`,
      times.length === 0
        ? none
        : `${percentile(times, 0.5).toFixed(1)} / ${percentile(times, 0.99).toFixed(1)} ms`,
      none,
      'p99 100 ms',
    ]);
  }
  return {
    rows,
    work: `${found.toLocaleString('en')} sessions were found by ${rows.length - 1} kinds of words.`,
  };
}

async function indexAll(
  pg: TestPostgres,
  talk: Talk,
  reader: Reader,
  progress: (text: string) => void,
): Promise<number> {
  const startMs = performance.now();
  const cold = { events: () => Promise.resolve(undefined) };
  const failures: unknown[] = [];
  const index = new SearchIndex({
    reader,
    cold,
    clock: realClock,
    owns: () => true,
    everyMs: 1,
    touchedMax: talk.sessions.length + 1,
    wordsMax: 0,
    log: (_level, _text, error) => failures.push(error),
    observe: () => undefined,
  });
  for (const { id } of talk.sessions) index.committed([{ request: { session: id, events: [] } }]);
  await index.flush();
  if (failures.length > 0) throw failures[0];
  const [row] = await pg.sql<{ count: string }[]>`select count(*) as count from search`;
  if (Number(row!.count) !== talk.sessions.length) throw new Error(`${row!.count} sessions are indexed`);
  const ms = performance.now() - startMs;
  progress(`indexed in ${(ms / 1000).toFixed(0)} s`);
  return ms;
}
