import type { Sql } from './database.ts';

/** What waits to be archived, and what the tiers hold. */
export interface Backlog {
  /** Due and not in the archive, counted up to `countMax`. */
  readonly sessions: number;
  /** Since the closing of the session that is closed longest and not in the archive; 0 without one. */
  readonly oldestMs: number;
  /** Of the events’ tables with their indexes. */
  readonly warmBytes: number;
  /** Of the segments. */
  readonly coldBytes: number;
}

const countMax = 10_000;

/** Cheap, whatever the tables hold: ends of indexes, and sizes that PostgreSQL knows. */
export async function archiveBacklog(sql: Sql, wallMs: number, afterMs: number): Promise<Backlog> {
  const [row] = await sql<{ due: string; oldest: string | null; warm: string; cold: string }[]>`
    select (select count(*) from (select 1 from sessions
        where state = 'closed' and not cold and closed_at <= ${wallMs - afterMs} limit ${countMax}) d) as due,
      (select closed_at from sessions where state = 'closed' and not cold order by closed_at, id limit 1) as oldest,
      (select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits
        where inhparent = 'events'::regclass) as warm,
      (select coalesce(sum(bytes), 0) from segments) as cold`;
  const { due, oldest, warm, cold } = row!;
  return {
    sessions: Number(due),
    oldestMs: oldest === null ? 0 : Math.max(0, wallMs - Number(oldest)),
    warmBytes: Number(warm),
    coldBytes: Number(cold),
  };
}
