import type { Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import type { IdSource } from '../core/ids.ts';
import type { Reader, Sql } from './database.ts';

/** Who asked; null in an entry of the audit is kefu itself. */
export interface Asker {
  readonly id: string;
  readonly name: string;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: number;
  readonly actor: string | null;
  readonly name: string;
  readonly action: string;
  readonly subject: string;
  readonly details: unknown;
}

export interface Erasure {
  readonly sessions: number;
  readonly events: number;
  readonly files: number;
  readonly done: boolean;
}

/** Sessions erased in one transaction. */
const portion = 100;
const lookBackMs = 24 * 3_600_000;

export interface RightsOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** These sessions are gone: whoever has them in memory forgets them. */
  readonly forget: (sessions: readonly string[]) => void;
  /** Deletes an object that was a file; what isn't there is no error. */
  readonly deleteObject: (object: string) => Promise<void>;
}

/**
 * What a customer, or the law, may ask for: erasure across all tiers and the index, holds against it, how long a group
 * keeps its sessions, and the audit of all of these. Sessions are erased in portions, each whole or not at all; what a
 * crash leaves undone is pending, and taken up again. Segments keep the bytes, which nothing points at any more, until
 * they are written anew.
 */
export class Rights {
  readonly #options: RightsOptions;

  constructor(options: RightsOptions) {
    this.#options = options;
  }

  /** Refuses with `conflict` while the customer is held. From here on nobody can act as this customer. */
  async askErasure(customer: string, by: Asker, reason: string): Promise<void> {
    await this.#change(async (sql) => {
      const [row] = await sql<{ erased_at: string | null }[]>`
        select erased_at from customers where id = ${customer}::uuid for update`;
      if (row === undefined) throw new KefuError('not_found', 'there is no such customer');
      const held = await sql`select 1 from legal_holds where customer = ${customer}::uuid for share`;
      if (held.length > 0)
        throw new KefuError('conflict', 'this customer’s data is under a legal hold: lift it first');
      if (row.erased_at !== null) return;
      const at = this.#options.clock.wallMs();
      await sql`update customers set name = '', external_id = null, attributes = '{}', erased_at = ${at}
        where id = ${customer}::uuid`;
      await sql`insert into erasures (customer, at) values (${customer}::uuid, ${at})`;
      await this.#note(sql, by, 'customer.erase', customer, { reason });
    });
  }

  async pendingErasures(limit: number): Promise<string[]> {
    const rows = await this.#options.reader.query(
      (sql) => sql<{ customer: string }[]>`
        select e.customer from erasures e
        where e.done_at is null
          -- A rating that was on its way may have brought a session back.
          or (e.done_at > ${this.#options.clock.wallMs() - lookBackMs}
            and exists (select 1 from sessions s where s.customer = e.customer))
        order by e.at limit ${limit}`,
    );
    return rows.map((row) => row.customer);
  }

  /** Sessions of a customer that are still open: to be closed before they can be erased. */
  async openSessions(customer: string): Promise<string[]> {
    const rows = await this.#options.reader.query(
      (sql) => sql<{ id: string }[]>`
        select id from sessions where customer = ${customer}::uuid and state <> 'closed'`,
    );
    return rows.map((row) => row.id);
  }

  /** Erases what there is of a customer whose erasure was asked for; done when nothing is left, open sessions included. */
  async erase(customer: string): Promise<Erasure> {
    const { reader, clock, forget } = this.#options;
    for (;;) {
      const rows = await reader.query(
        (sql) => sql<{ id: string }[]>`
          select id from sessions where customer = ${customer}::uuid and state = 'closed' limit ${portion}`,
      );
      if (rows.length === 0) break;
      const sessions = rows.map((row) => row.id);
      forget(sessions);
      await this.#change(async (sql) => {
        const { events, files } = await eraseSessions(sql, sessions);
        await sql`update erasures set sessions = sessions + ${sessions.length}, events = events + ${events},
          files = files + ${files} where customer = ${customer}::uuid`;
      });
      forget(sessions);
    }
    await this.deleteDoomed();
    const isOpen = (await this.openSessions(customer)).length > 0;
    return this.#change(async (sql) => {
      if (!isOpen)
        await sql`update erasures set done_at = ${clock.wallMs()} where customer = ${customer}::uuid and done_at is null`;
      const [row] = await sql<{ sessions: number; events: string; files: number; done_at: string | null }[]>`
        select sessions, events, files, done_at from erasures where customer = ${customer}::uuid`;
      if (row === undefined) throw new KefuError('not_found', 'no erasure of this customer was asked for');
      return {
        sessions: row.sessions,
        events: Number(row.events),
        files: row.files,
        done: row.done_at !== null,
      };
    });
  }

  /** Erases sessions that their groups keep no longer, held customers' excepted, at most `limit`; returns how many. */
  async retire(limit: number): Promise<number> {
    const { reader, clock, forget } = this.#options;
    const rows = await reader.query(
      (sql) => sql<{ id: string; group_name: string }[]>`
        select s.id, s.group_name from groups g
        join sessions s on s.group_name = g.name and s.state = 'closed' and s.closed_at <= ${clock.wallMs()} - g.retention
        where g.retention is not null and s.customer not in (select customer from legal_holds)
        order by s.closed_at limit ${Math.min(limit, portion)}`,
    );
    if (rows.length === 0) return 0;
    const sessions = rows.map((row) => row.id);
    await this.#change(async (sql) => {
      // A hold that came meanwhile is seen here, and one that comes later waits.
      await sql`lock table legal_holds in share mode`;
      const held = await sql`
        select 1 from sessions s join legal_holds h on h.customer = s.customer
        where s.id = any(string_to_array(${sessions.join(',')}, ',')::uuid[]) limit 1`;
      if (held.length > 0) throw new KefuError('conflict', 'a legal hold came between');
      const { events, files } = await eraseSessions(sql, sessions);
      for (const group of new Set(rows.map((row) => row.group_name))) {
        const count = rows.filter((row) => row.group_name === group).length;
        await this.#note(sql, undefined, 'group.retention', group, { sessions: count, events, files });
      }
    });
    forget(sessions);
    await this.deleteDoomed();
    return sessions.length;
  }

  /** Deletes the objects of erased files; what can't be deleted now stays noted. */
  async deleteDoomed(): Promise<void> {
    const { reader, deleteObject } = this.#options;
    for (;;) {
      const rows = await reader.query(
        (sql) => sql<{ object: string }[]>`select object from doomed_objects limit ${portion}`,
      );
      for (const { object } of rows) {
        await deleteObject(object);
        await reader.query((sql) => sql`delete from doomed_objects where object = ${object}`);
      }
      if (rows.length < portion) return;
    }
  }

  async hold(customer: string, by: Asker, reason: string): Promise<void> {
    await this.#change(async (sql) => {
      const [row] = await sql<{ erased_at: string | null }[]>`
        select erased_at from customers where id = ${customer}::uuid for share`;
      if (row === undefined) throw new KefuError('not_found', 'there is no such customer');
      if (row.erased_at !== null) throw new KefuError('conflict', 'this customer’s data was erased');
      await sql`insert into legal_holds values (${customer}::uuid, ${reason}, ${this.#options.clock.wallMs()}, ${by.id}::uuid)
        on conflict (customer) do update set reason = excluded.reason, at = excluded.at, by_agent = excluded.by_agent`;
      await this.#note(sql, by, 'customer.hold', customer, { reason });
    });
  }

  async lift(customer: string, by: Asker): Promise<void> {
    await this.#change(async (sql) => {
      const rows = await sql`delete from legal_holds where customer = ${customer}::uuid returning 1`;
      if (rows.length === 0) throw new KefuError('not_found', 'there is no legal hold on this customer');
      await this.#note(sql, by, 'customer.lift', customer, {});
    });
  }

  /** `keepMs` null: for ever. */
  async setRetention(group: string, keepMs: number | null, by: Asker): Promise<void> {
    await this.#change(async (sql) => {
      const rows = await sql`update groups set retention = ${keepMs} where name = ${group} returning 1`;
      if (rows.length === 0) throw new KefuError('not_found', `there is no group ${group}`);
      await this.#note(sql, by, 'group.keep', group, { keep_ms: keepMs });
    });
  }

  /** The newest first; `before`: those older than this entry. */
  async audit(before: string | undefined, limit: number): Promise<AuditEntry[]> {
    const rows = await this.#options.reader.query(
      (sql) => sql<(Omit<AuditEntry, 'at'> & { at: string })[]>`
        select * from audit where id < ${before ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'}::uuid
        order by id desc limit ${limit}`,
    );
    return rows.map((row) => ({ ...row, at: Number(row.at) }));
  }

  /** Notes something that is none of this class's own. */
  note(by: Asker, action: string, subject: string, details: object): Promise<void> {
    return this.#change((sql) => this.#note(sql, by, action, subject, details));
  }

  async #note(
    sql: Sql,
    by: Asker | undefined,
    action: string,
    subject: string,
    details: object,
  ): Promise<void> {
    const { ids, clock } = this.#options;
    await sql`insert into audit values (${ids.next()}::uuid, ${clock.wallMs()}, ${by?.id ?? null}::uuid,
      ${by?.name ?? 'kefu'}, ${action}, ${subject}, ${JSON.stringify(details)}::text::json)`;
  }

  #change<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#options.reader.query(async (sql) => {
      const result = await sql.begin(async (transaction) => ({
        value: await work(transaction as unknown as Sql),
      }));
      return result.value;
    });
  }
}

/** Everything of these sessions in the database, and a note of their files' objects. */
async function eraseSessions(
  sql: Sql,
  sessions: readonly string[],
): Promise<{ events: number; files: number }> {
  const list = sessions.join(',');
  // In the archiver's order, which takes the rows before the events too.
  await sql`select 1 from sessions where id = any(string_to_array(${list}, ',')::uuid[]) order by id for update`;
  const [warm] = await sql<{ count: string }[]>`
    with gone as (delete from events where session = any(string_to_array(${list}, ',')::uuid[]) returning 1)
    select count(*) as count from gone`;
  const [cold] = await sql<{ count: string }[]>`
    with gone as (delete from cold where session = any(string_to_array(${list}, ',')::uuid[]) returning last_seq)
    select coalesce(sum(last_seq), 0) as count from gone`;
  const [files] = await sql<{ count: string }[]>`
    with gone as (delete from files where session = any(string_to_array(${list}, ',')::uuid[]) returning object),
    doomed as (insert into doomed_objects select object from gone on conflict do nothing)
    select count(*) as count from gone`;
  await sql`delete from search where session = any(string_to_array(${list}, ',')::uuid[])`;
  await sql`delete from feed where session = any(string_to_array(${list}, ',')::uuid[])`;
  await sql`delete from sessions where id = any(string_to_array(${list}, ',')::uuid[])`;
  return { events: Number(warm!.count) + Number(cold!.count), files: Number(files!.count) };
}
