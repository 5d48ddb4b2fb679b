import { readdirSync, readFileSync } from 'node:fs';
import { shardCount } from '../core/ids.ts';
import type { Sql } from './database.ts';

const folder = new URL('migrations/', import.meta.url);
/** Any number that no other program is likely to take: the lock under which migrations run. */
const migrationLock = 7_302_917_001n;
/** Held by the one node of a database that has no cluster. */
const nodeLock = 7_302_917_002n;

/** The database is not fit for this node: the message is the one line to print. */
export class DatabaseRefusal extends Error {}

/**
 * Brings the schema up to this version: forward only, one transaction a file, under an advisory lock. `connection` is
 * a pool of one, since the lock belongs to a connection (the driver's `reserve` hangs without its type query).
 */
export async function migrate(connection: Sql): Promise<number> {
  const files = readdirSync(folder)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort();
  try {
    const [server] = await connection<{ version: number }[]>`
      select current_setting('server_version_num')::int as version`;
    if (server!.version < 140_000)
      throw new DatabaseRefusal(`PostgreSQL 14 or newer is needed; this server says ${server!.version}`);
    await connection`select pg_advisory_lock(${migrationLock.toString()}::bigint)`;
    await connection`create table if not exists migrations (name text primary key, at timestamptz not null default now())`;
    const done = new Set(
      (await connection<{ name: string }[]>`select name from migrations`).map((row) => row.name),
    );
    const unknown = [...done].filter((name) => !files.includes(name));
    if (unknown.length > 0)
      throw new DatabaseRefusal(
        `this database was made by a newer kefu (it has ${unknown[0]}): start that version, or use another database`,
      );
    let count = 0;
    for (const name of files) {
      if (done.has(name)) continue;
      const text = readFileSync(new URL(name, folder), 'utf8');
      await connection
        .unsafe(`begin; ${text}; insert into migrations (name) values ('${name}'); commit;`)
        .simple();
      count += 1;
    }
    const [meta] = await connection<{ value: string }[]>`select value from meta where key = 'shards'`;
    if (Number(meta?.value) !== shardCount)
      throw new DatabaseRefusal(
        `this database has ${meta?.value} shards, this kefu works with ${shardCount}`,
      );
    return count;
  } finally {
    await connection`select pg_advisory_unlock(${migrationLock.toString()}::bigint)`.catch(() => undefined);
  }
}

/**
 * Makes the months' partitions of the events ahead of time: this one and the next `ahead`. A session's events live
 * in the month of its id; what no partition fits goes to `events_other`.
 */
export async function makePartitions(sql: Sql, wallMs: number, ahead: number): Promise<void> {
  await makeSearchPartitions(sql, wallMs, 5 * ahead);
  const now = new Date(wallMs);
  for (let month = 0; month <= ahead; month += 1) {
    const from = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + month, 1);
    const to = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + month + 1, 1);
    const name = `events_${new Date(from).toISOString().slice(0, 7).replace('-', '_')}`;
    const [present] = await sql<{ there: boolean }[]>`select to_regclass(${name}) is not null as there`;
    if (present!.there) continue;
    await sql.unsafe(
      `create table if not exists ${name} partition of events for values from ('${floorId(from)}') to ('${floorId(to)}')`,
    );
  }
}

const weekMs = 7 * 24 * 3_600_000;

/** The same for the weeks of the search index: small enough for a look through all that has a common word. */
async function makeSearchPartitions(sql: Sql, wallMs: number, ahead: number): Promise<void> {
  const now = Math.floor(wallMs / weekMs);
  for (let week = now; week <= now + ahead; week += 1) {
    const name = `search_${week}`;
    const [present] = await sql<{ there: boolean }[]>`select to_regclass(${name}) is not null as there`;
    if (present!.there) continue;
    await sql.unsafe(
      `create table if not exists ${name} partition of search for values from ('${floorId(week * weekMs)}') to ('${floorId((week + 1) * weekMs)}')`,
    );
  }
}

/** The smallest UUID that a UUIDv7 of this time can be above. */
function floorId(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/**
 * Takes the database for this node alone, or for the nodes of a cluster together, for as long as the connection lives.
 * False: a node alone has it, or the nodes of a cluster do when it is wanted alone.
 */
export async function lockNode(sql: Sql, shared: boolean): Promise<boolean> {
  const key = nodeLock.toString();
  const [row] = shared
    ? await sql<{ locked: boolean }[]>`select pg_try_advisory_lock_shared(${key}::bigint) as locked`
    : await sql<{ locked: boolean }[]>`select pg_try_advisory_lock(${key}::bigint) as locked`;
  return row!.locked;
}
