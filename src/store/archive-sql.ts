import type { Term } from './journal-terms.ts';
import type { Sql } from './database.ts';

/** The archiver's statements. Each change holds the row of the archive's shard under the term that this archiver has. */

export class ArchiveLost extends Error {
  constructor() {
    super('another node archives now');
  }
}

/** One transaction under the fence; throws ArchiveLost where another has taken the shard. */
export async function fenced<T>(
  sql: Sql,
  { shard, epoch }: Term,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const result = await sql.begin(async (transaction) => {
    const held = await transaction`select 1 from shards where id = ${shard} and epoch = ${epoch} for share`;
    if (held.length === 0) throw new ArchiveLost();
    return { value: await work(transaction as unknown as Sql) };
  });
  return result.value;
}

export interface DueSession {
  readonly id: string;
  readonly closedAt: number;
}

/** Closed before `beforeMs` and not in the archive, the longest closed first; `after`: those behind this one. */
export async function dueSessions(
  sql: Sql,
  beforeMs: number,
  after: DueSession | undefined,
  limit: number,
): Promise<DueSession[]> {
  const rows = await sql<{ id: string; closed_at: string }[]>`
    select id, closed_at from sessions
    where state = 'closed' and not cold and closed_at <= ${beforeMs}
      and (closed_at, id) > (${after?.closedAt ?? -1}, ${after?.id ?? '00000000-0000-0000-0000-000000000000'}::uuid)
    order by closed_at, id limit ${limit}`;
  return rows.map((row) => ({ id: row.id, closedAt: Number(row.closed_at) }));
}

/** The events of these sessions that are in the table, by session, in order. */
export async function warmEvents(
  sql: Sql,
  sessions: readonly string[],
): Promise<Map<string, { seq: number; json: string }[]>> {
  const rows = await sql<{ session: string; seq: number; data: string }[]>`
    select session, seq, data::text as data from events
    where session = any(string_to_array(${sessions.join(',')}, ',')::uuid[]) order by session, seq`;
  const found = new Map<string, { seq: number; json: string }[]>(sessions.map((id) => [id, []]));
  for (const { session, seq, data } of rows) found.get(session)!.push({ seq, json: data });
  return found;
}

/** Bytes of the events' text in the table; for cutting the work into pieces. */
export interface Moved {
  readonly session: string;
  readonly place: number;
  readonly length: number;
  readonly lastSeq: number;
  readonly checksum: string;
}

/**
 * Takes these sessions' events from the table: from here on they are read from the segment. A session that is gone was
 * erased meanwhile; one that has later events keeps those in the table, and is archived anew at another time. Returns
 * the rows deleted.
 */
export async function moveToCold(
  sql: Sql,
  term: Term,
  segment: string,
  moved: readonly Moved[],
): Promise<number> {
  const rows = JSON.stringify(
    moved.map(({ session, place, length, lastSeq, checksum }) => ({
      session,
      place,
      length,
      last_seq: lastSeq,
      checksum,
    })),
  );
  return fenced(sql, term, async (transaction) => {
    // A rating that is on its way to the database waits here, or has been waited for: it says itself `cold = false`.
    await transaction`
      select id from sessions where id in (select session from json_to_recordset(${rows}::text::json) m (session uuid))
      order by id for update`;
    const [counted] = await transaction<{ deleted: string }[]>`
      with m as materialized (
        select m.* from json_to_recordset(${rows}::text::json)
          m (session uuid, place bigint, length int, last_seq int, checksum text)
        join sessions s on s.id = m.session and s.state = 'closed'
      ), put as (
        insert into cold (session, segment, place, length, last_seq, checksum)
        select session, ${segment}::uuid, place, length, last_seq, checksum from m
        on conflict (session) do update set segment = excluded.segment, place = excluded.place,
          length = excluded.length, last_seq = excluded.last_seq, checksum = excluded.checksum
      ), marked as (
        update sessions s set cold = true from m
        where s.id = m.session
          and not exists (select 1 from events e where e.session = m.session and e.seq > m.last_seq)
      ), gone as (
        delete from events e using m where e.session = m.session and e.seq <= m.last_seq returning 1
      )
      select count(*) as deleted from gone`;
    return Number(counted!.deleted);
  });
}

/**
 * Segments that somebody began, or began to delete, and never ended: nothing points at them, and from here on nothing
 * ever will. Under the fence, because a late archiver would else take what its successor is writing for abandoned.
 */
export async function abandonSegments(sql: Sql, term: Term): Promise<{ id: string; object: string }[]> {
  return fenced(
    sql,
    term,
    (it) => it<{ id: string; object: string }[]>`
      update segments set state = 'leaving' where state <> 'ready' returning id, object`,
  );
}

/**
 * Drops the months before `beforeMs` that have no events left. It waits for the lock only for a moment, since all
 * chats wait behind it; what could not be had is tried at the next round. Returns the names.
 */
export async function dropEmptyPartitions(
  sql: Sql,
  term: Term,
  months: readonly string[],
): Promise<string[]> {
  const dropped: string[] = [];
  for (const name of months) {
    const [there] = await sql.unsafe<{ any: boolean }[]>(`select exists (select 1 from ${name}) as any`);
    if (there!.any) continue;
    try {
      await fenced(sql, term, async (transaction) => {
        await transaction`set local lock_timeout = '50ms'`;
        await transaction.unsafe(`lock table ${name} in access exclusive mode`);
        const [again] = await transaction.unsafe<{ any: boolean }[]>(
          `select exists (select 1 from ${name}) as any`,
        );
        if (again!.any) return;
        await transaction.unsafe(`drop table ${name}`);
        dropped.push(name);
      });
    } catch (error) {
      if (error instanceof ArchiveLost) throw error;
      // 55P03: somebody is writing there or reads long.
      if ((error as { code?: string }).code !== '55P03') throw error;
    }
  }
  return dropped;
}

/** The partitions of months that ended before `beforeMs`. */
export async function monthsBefore(sql: Sql, beforeMs: number): Promise<string[]> {
  const last = `events_${new Date(beforeMs).toISOString().slice(0, 7).replace('-', '_')}`;
  const rows = await sql<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'events'::regclass and c.relname ~ '^events_[0-9]{4}_[0-9]{2}$' and c.relname < ${last}
    order by c.relname`;
  return rows.map((row) => row.name);
}

export function* inGroups<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
