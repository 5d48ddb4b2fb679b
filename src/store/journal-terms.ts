import type { Clock } from '../core/clock.ts';
import type { Sql } from './database.ts';

/** How a journal takes shards, and how a new connection of it takes the place of the old one. */

export interface Term {
  readonly shard: number;
  readonly epoch: number;
}

const takeSql = `
  with want as (select * from unnest($1::text::int[], $2::text::int[]) w (id, epoch)),
  mine as (
    select s.id, w.epoch from shards s join want w on w.id = s.id
    where s.epoch < w.epoch or (s.epoch = w.epoch and s.owner = $3 and s.writer <= $4 collate "C")
    order by s.id for update of s)
  update shards s set epoch = mine.epoch, owner = $3, writer = $4 from mine where s.id = mine.id returning s.id`;

const writerSql = `
  with mine as (
    select s.id from shards s join unnest($1::text::int[], $2::text::int[]) f (id, epoch)
      on f.id = s.id and f.epoch = s.epoch and s.owner = $4 and s.writer < $3 collate "C"
    order by s.id for update of s)
  update shards s set writer = $3 from mine where s.id = mine.id`;

/** Waits for every transaction that holds the shards under an older epoch. Returns those that are ours now. */
export async function takeTerms(
  sql: Sql,
  terms: readonly Term[],
  owner: string,
  writer: string,
): Promise<ReadonlySet<number>> {
  const rows = await sql.unsafe<{ id: number }[]>(takeSql, [...arrays(terms), owner, writer]);
  return new Set(rows.map((row) => row.id));
}

/** After this, what an earlier connection of the same owner may still have on its way is refused. */
export async function claimWriter(
  sql: Sql,
  terms: readonly Term[],
  owner: string,
  writer: string,
): Promise<void> {
  await sql.unsafe(writerSql, [...arrays(terms), writer, owner]);
}

function arrays(terms: readonly Term[]): [string, string] {
  const shards = terms.map(({ shard }) => shard);
  const epochs = terms.map(({ epoch }) => epoch);
  return [`{${shards.join(',')}}`, `{${epochs.join(',')}}`];
}

/** A query that is given up after a while; its connection is then thrown away by the caller. */
export function bounded<T>(clock: Clock, waitMs: number, query: () => PromiseLike<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(waitMs, () => reject(new Error(`no answer in ${waitMs} ms`)));
    query().then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}
