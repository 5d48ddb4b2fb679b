import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import { ArchiveLost, fenced } from './archive-sql.ts';
import type { Sql } from './database.ts';
import type { Term } from './journal-terms.ts';
import type { ObjectStore } from './object-store.ts';
import type { SegmentPool } from './segment-pool.ts';
import { readWhole } from './segment-store.ts';
import type { SegmentEntry, SegmentWriter } from './segment.ts';

export type PublishStep = 'built' | 'written' | 'verified' | 'ready';

export interface PublishOptions {
  readonly sql: Sql;
  readonly store: ObjectStore;
  readonly pool: SegmentPool;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly step?: (name: PublishStep) => void | Promise<void>;
}

export interface Published {
  readonly id: string;
  readonly object: string;
  readonly entries: readonly SegmentEntry[];
  readonly bytes: number;
}

/**
 * Writes a segment and reads it back: row `writing`, object, every session of it compared by `digests`, row `ready`. Nothing
 * points at it yet. What fails on the way leaves a row that the next owner of the archive's shard sweeps.
 */
export async function publishSegment(
  { sql, store, pool, clock, ids, step }: PublishOptions,
  term: Term,
  writer: SegmentWriter,
  about: { readonly digests: ReadonlyMap<string, string>; readonly events: number; readonly raw: number },
): Promise<Published> {
  const id = ids.next();
  const object = `archive/${id}.seg`;
  const { content, entries, sha256 } = writer.finish();
  const blocks = entries.reduce((sum, { length }) => sum + length, 0);
  await step?.('built');
  await fenced(
    sql,
    term,
    (it) => it`insert into segments (id, object, state, bytes, blocks, events, sessions, raw, sha256, made_at)
      values (${id}::uuid, ${object}, 'writing', ${content.length}, ${blocks}, ${about.events}, ${entries.length},
        ${about.raw}, ${sha256}, ${clock.wallMs()})`,
  );
  await store.put(object, content, { maxBytes: content.length });
  await step?.('written');
  const read = await readWhole(store, object, content.length);
  const { sound, problems } = await pool.inspect(read, about.digests);
  if (problems.length > 0 || sound !== entries.length)
    throw new Error(`${object} is not what was written: ${problems[0] ?? `${sound} sessions`}`);
  await step?.('verified');
  const ready = await fenced(
    sql,
    term,
    (it) => it`update segments set state = 'ready' where id = ${id}::uuid and state = 'writing' returning 1`,
  );
  if (ready.length === 0) throw new ArchiveLost();
  await step?.('ready');
  return { id, object, entries, bytes: content.length };
}
