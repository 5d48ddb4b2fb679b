import { waitingEntry } from '../actors/session-effects.ts';
import type { WaitingEntry } from '../actors/messages.ts';
import type { Sessions } from '../actors/ports.ts';
import type { Attributes, SessionState, SessionStatus } from '../rules/session.ts';
import type { Reader } from './database.ts';
import { wordsQuery } from './search.ts';

interface Row {
  id: string;
  state: SessionStatus;
  customer: string;
  customer_name: string;
  agent: string | null;
  agent_name: string | null;
  group_name: string;
  channel: string;
  subject: string | null;
  attributes: Attributes;
  priority: number;
  target: string | null;
  last_agent: string | null;
  waiting_since: string;
  opened_at: string;
  closed_at: string | null;
  rated: boolean;
  previous: string | null;
  last_seq?: number;
}

export interface SessionFilter {
  readonly state?: string;
  readonly agent?: string;
  readonly customer?: string;
  readonly group?: string;
  /** Part of a customer's name or a subject, or words of messages. */
  readonly q?: string;
  /** Only sessions of these groups, or held by this agent. */
  readonly visibleTo?: { readonly agent: string; readonly groups: readonly string[] };
  /** Only those older than this id. */
  readonly before?: string;
  readonly limit: number;
}

/**
 * The sessions table: an index of the log. A session's last seq is the log's own, so that a message writes one row; of
 * one whose events are all in the archive it stands there.
 */
export class SessionIndex implements Sessions {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async load(session: string): Promise<SessionState | undefined> {
    const [row] = await this.#reader.query(
      (sql) => sql<Row[]>`
        select s.*, coalesce((select max(seq) from events where session = ${session}::uuid),
          (select last_seq from cold c where c.session = s.id)) as last_seq
        from sessions s where s.id = ${session}::uuid`,
    );
    return row === undefined ? undefined : stateOf(row);
  }

  async ofCustomer(
    customer: string,
  ): Promise<{ open: string | null; last: string | null; lastAgent: string | null }> {
    const rows = await this.#reader.query(
      (sql) => sql<{ id: string; state: string; last_agent: string | null }[]>`
        (select id, state, last_agent from sessions where customer = ${customer}::uuid order by id desc limit 1)
        union all
        (select id, state, last_agent from sessions
         where customer = ${customer}::uuid and state <> 'closed' order by id desc limit 1)`,
    );
    return {
      open: rows.find((row) => row.state !== 'closed')?.id ?? null,
      last: rows.find((row) => row.state === 'closed')?.id ?? null,
      lastAgent: rows[0]?.last_agent ?? null,
    };
  }

  async heldBy(agent: string): Promise<readonly string[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ id: string }[]>`
        select id from sessions where agent = ${agent}::uuid and state = 'chatting' order by id`,
    );
    return rows.map((row) => row.id);
  }

  /** Agents that hold sessions. */
  async holders(): Promise<readonly string[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ agent: string }[]>`select distinct agent from sessions where state = 'chatting'`,
    );
    return rows.map((row) => row.agent);
  }

  async waitingIn(group: string, limit: number): Promise<readonly WaitingEntry[]> {
    const rows = await this.#reader.query(
      (sql) => sql<Row[]>`
        select * from sessions where group_name = ${group} and state in ('waiting', 'transferring')
        order by priority desc, waiting_since, id limit ${limit}`,
    );
    return rows.map((row) => waitingEntry(stateOf(row)));
  }

  async list(filter: SessionFilter): Promise<SessionState[]> {
    const { state, agent, customer, group, q, visibleTo, before, limit } = filter;
    const words = q === undefined ? '' : wordsQuery(q);
    const like = q === undefined ? undefined : `%${q.replace(/[\\%_]/g, '\\$&')}%`;
    const rows = await this.#reader.query(
      (sql) => sql<Row[]>`
        select s.*, coalesce((select max(seq) from events e where e.session = s.id),
          (select last_seq from cold c where c.session = s.id)) as last_seq
        from sessions s where true
        ${state === undefined ? sql`` : sql`and s.state = ${state}`}
        ${agent === undefined ? sql`` : sql`and s.agent = ${agent}::uuid`}
        ${customer === undefined ? sql`` : sql`and s.customer = ${customer}::uuid`}
        ${group === undefined ? sql`` : sql`and s.group_name = ${group}`}
        ${
          like === undefined
            ? sql``
            : sql`and (s.customer_name ilike ${like} or s.subject ilike ${like}
                or s.id in (select session from search where words @@ ${words}::tsquery))`
        }
        ${before === undefined ? sql`` : sql`and s.id < ${before}::uuid`}
        ${
          visibleTo === undefined
            ? sql``
            : sql`and (s.agent = ${visibleTo.agent}::uuid or s.target = ${visibleTo.agent}::uuid
                or s.group_name = any(string_to_array(${visibleTo.groups.join(',')}, ',')))`
        }
        order by s.id desc limit ${limit}`,
    );
    return rows.map(stateOf);
  }

  /** In the order of `ids`; those that are gone are left out. */
  async byIds(ids: readonly string[]): Promise<SessionState[]> {
    const rows = await this.#reader.query(
      (sql) => sql<Row[]>`
        select s.*, coalesce((select max(seq) from events e where e.session = s.id),
          (select last_seq from cold c where c.session = s.id)) as last_seq
        from sessions s where s.id = any(string_to_array(${ids.join(',')}, ',')::uuid[])`,
    );
    const found = new Map(rows.map((row) => [row.id, stateOf(row)]));
    return ids.map((id) => found.get(id)).filter((state) => state !== undefined);
  }

  async countByState(): Promise<Map<string, number>> {
    const rows = await this.#reader.query(
      (sql) => sql<{ state: string; count: string }[]>`
        select state, count(*) as count from sessions where state <> 'closed' group by state`,
    );
    return new Map(rows.map((row) => [row.state, Number(row.count)]));
  }
}

function stateOf(row: Row): SessionState {
  return {
    id: row.id,
    state: row.state,
    customer: { id: row.customer, name: row.customer_name },
    agent: row.agent === null ? null : { id: row.agent, name: row.agent_name ?? '' },
    group: row.group_name,
    channel: row.channel,
    subject: row.subject,
    attributes: row.attributes,
    priority: row.priority,
    target: row.target,
    lastAgent: row.last_agent,
    waitingSince: Number(row.waiting_since),
    openedAt: Number(row.opened_at),
    closedAt: row.closed_at === null ? null : Number(row.closed_at),
    rated: row.rated,
    previous: row.previous,
    lastSeq: row.last_seq ?? 0,
  };
}
