import type { Reader, Sql } from './database.ts';

/** The shards' rows, as those see them who don't write: epochs and owners. */

/** By shard. Rejects with `unavailable` when the database does not answer in time. */
export async function readEpochs(reader: Reader): Promise<{ epoch: number; owner: string }[]> {
  const rows = await reader.query(
    (sql) => sql<{ id: number; epoch: number; owner: string }[]>`
    select id, epoch, owner from shards order by id`,
  );
  return rows.map(({ epoch, owner }) => ({ epoch, owner }));
}

/** Which of these terms are still their shard's newest. */
export async function newestTerms(
  reader: Reader,
  terms: readonly { readonly shard: number; readonly epoch: number }[],
): Promise<ReadonlySet<number>> {
  const shards = `{${terms.map(({ shard }) => shard).join(',')}}`;
  const epochs = `{${terms.map(({ epoch }) => epoch).join(',')}}`;
  const rows = await reader.query(
    (sql) => sql<{ id: number }[]>`
    select s.id from shards s join unnest(${shards}::text::int[], ${epochs}::text::int[]) f (id, epoch)
      on f.id = s.id and f.epoch = s.epoch`,
  );
  return new Set(rows.map((row) => row.id));
}

/** The secret that all nodes of a cluster sign tokens with, made by the first of them. */
export async function sharedSecret(sql: Sql, made: string): Promise<string> {
  await sql`insert into meta values ('token_key', ${made}) on conflict (key) do nothing`;
  const [row] = await sql<{ value: string }[]>`select value from meta where key = 'token_key'`;
  return row!.value;
}
