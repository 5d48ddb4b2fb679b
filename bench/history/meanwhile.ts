import type { DatabaseAddress } from '../../src/store/database.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import { until } from '../../scripts/processes.ts';
import { Helper } from '../support/helper.ts';
import { newDataDir, removeDataDir, startBenchNode, type BenchNode } from '../support/node.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { Order } from '../talk/load-process.ts';
import type { LoadResult } from '../talk/load.ts';
import type { Plan } from './index.ts';
import { loadTalk } from './load.ts';

const perSecond = 1000;
const warmMs = 1500;

/** What old sessions cost those who chat: a real node whose database is full of them, with and without the archiver at work. */
export async function meanwhile(
  plan: Plan,
  progress: (text: string) => void,
): Promise<{ rows: Row[]; work: string }> {
  const pg = await startPostgres({ sharedBuffersBytes: 512 * 2 ** 20 });
  try {
    const emptyBytes = await idleBytes(pg.address, plan.idleMs);
    await loadTalk(pg, { ...plan, messages: plan.meanwhileMessages }, progress);
    const rests: LoadResult[] = [];
    const works: LoadResult[] = [];
    let moved = 0;
    for (let round = 0; round < plan.rounds; round += 1) {
      rests.push((await talkOn(pg.address, plan, '36500d')).result);
      const { result, archived } = await talkOn(pg.address, plan, '0');
      works.push(result);
      moved += archived;
    }
    const shown = rests.map(
      ({ p99Ms }, round) => `${p99Ms.toFixed(1)} and ${works[round]!.p99Ms.toFixed(1)} ms`,
    );
    progress(
      `ack p99 with nothing archived, and while it archives: ${shown.join(', ')}; ${moved} events moved`,
    );
    await pg.sql.unsafe(`set statement_timeout = 0;${manySql(plan.manySessions)}`);
    const fullBytes = await idleBytes(pg.address, plan.idleMs);
    const ratio = median(works.map(({ p99Ms }, round) => p99Ms / rests[round]!.p99Ms));
    const show = (results: readonly LoadResult[]): string =>
      spread(
        results.map(({ p99Ms }) => p99Ms),
        1,
      );
    const many = plan.manySessions.toLocaleString('en');
    const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;
    return {
      rows: [
        [`${perSecond} messages/s, open loop: ack p99, ms, nothing archived`, show(rests), none, none],
        [
          `… while it archives (\`archive.events_per_second\` 5000)`,
          `${show(works)}: ${ratio.toFixed(2)} ×`,
          none,
          '1.2 ×',
        ],
        [
          `memory of an idle node: ${many} cold and ${many} warm sessions in the database / none`,
          `${megabytes(fullBytes)} / ${megabytes(emptyBytes)}`,
          none,
          'as with none',
        ],
      ],
      work: `${moved.toLocaleString('en')} events were archived while people talked.`,
    };
  } finally {
    await pg.stop();
  }
}

async function withNode<T>(
  address: DatabaseAddress,
  archiveAfter: string,
  work: (node: BenchNode) => Promise<T>,
): Promise<T> {
  if (!('socketDir' in address)) throw new Error('a PostgreSQL of our own is meant');
  const { socketDir, port, user, database } = address;
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir, {
    KEFU_POSTGRES: `postgres://${user}@localhost:${port}/${database}?host=${socketDir}`,
    KEFU_ARCHIVE_AFTER: archiveAfter,
    KEFU_ARCHIVE_EVERY: '1s',
    // What is archived is counted when its segment is whole: at the usual size and pace that takes a minute.
    KEFU_ARCHIVE_SEGMENT: '1MiB',
    KEFU_WORKERS: '2',
    // Of all nodes one after the other: what one has begun the next goes on with.
    KEFU_OBJECTS: `file://${socketDir}-objects`,
  });
  try {
    return await work(node);
  } finally {
    await node.stop();
    removeDataDir(dataDir);
  }
}

async function talkOn(
  address: DatabaseAddress,
  plan: Plan,
  archiveAfter: string,
): Promise<{ result: LoadResult; archived: number }> {
  return withNode(address, archiveAfter, async (node) => {
    const load = new Helper<Order>(new URL('../talk/load-process.ts', import.meta.url));
    try {
      await load.ask({ do: 'open', target: 'kefu', ports: [node.port], pairs: plan.pairs });
      if (archiveAfter === '0')
        await until('the archiver to begin', async () => (await archivedEvents(node)) > 0, 30_000);
      const before = await archivedEvents(node);
      const runMs = plan.meanwhileMs;
      const result = await load.ask<LoadResult>({ do: 'rate', target: 'kefu', perSecond, warmMs, runMs });
      return { result, archived: (await archivedEvents(node)) - before };
    } finally {
      load.close();
    }
  });
}

async function archivedEvents(node: BenchNode): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.port}/metrics`)).text();
  return Number(/^kefu_archived_total\{what="events"\} (\d+)/m.exec(text)?.[1] ?? 0);
}

/** Of one that has nothing to do; the least of a few looks, since the heap is not swept at once. */
async function idleBytes(address: DatabaseAddress, idleMs: number): Promise<number> {
  return withNode(address, '36500d', async (node) => {
    const bytes: number[] = [];
    const untilMs = performance.now() + idleMs;
    await until('it to settle', () => bytes.push(node.rssBytes()) > 0 && performance.now() > untilMs);
    return Math.min(...bytes);
  });
}

/** As many sessions with their events, and as many of which only their place in the archive is here. */
function manySql(count: number): string {
  return `
    update search_checked set at = ${Date.now()};
    insert into segments (id, object, state, made_at) values ('00000000-0000-7000-8000-000000000000', 'none', 'ready', 0);
    create temporary table many as select gen_random_uuid() as id, n % 2 = 0 as cold from generate_series(1, ${2 * count}) n;
    insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority, waiting_since,
      opened_at, closed_at, rated, cold)
    select id, 'closed', id, 'A', 'support', 'web', '{}', 0, 0, 0, 1, true, cold from many;
    insert into events (session, seq, data) select id, 1, '{"seq":1}' from many where not cold;
    insert into cold (session, segment, place, length, last_seq, checksum)
    select id, '00000000-0000-7000-8000-000000000000', 8, 100, 1, '0000000000000000' from many where cold;`;
}
