import { LRUCache } from 'lru-cache';
import type { AgentProfile, Presence } from '../actors/messages.ts';
import type { Directory } from '../actors/ports.ts';
import { KefuError } from '../core/errors.ts';
import type { Attributes } from '../rules/session.ts';
import { isServerError, type Reader } from './database.ts';

interface AgentRow {
  id: string;
  email: string;
  name: string;
  kind: 'agent' | 'bot';
  role: 'agent' | 'admin';
  groups: string;
  capacity: number | null;
  presence: Presence;
  password: string;
}

export interface NewAgent {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: 'agent' | 'admin';
  readonly groups: readonly string[];
  readonly capacity: number | null;
  readonly password: string;
}

export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly externalId: string | null;
  readonly channel: string;
  readonly attributes: Attributes;
}

/** How long a group's existence is believed: groups are made, never removed. */
const groupsMax = 10_000;

const agentColumns = `id, email, name, kind, role, array_to_string(groups, ',') as groups, capacity, presence, password`;

/** Agents, groups and customers. */
export class People implements Directory {
  readonly #reader: Reader;
  readonly #capacity: number;
  readonly #groups = new LRUCache<string, true>({ max: groupsMax });

  /** `capacity` is that of agents for whom none was set. */
  constructor(reader: Reader, capacity: number) {
    this.#reader = reader;
    this.#capacity = capacity;
  }

  async agent(id: string): Promise<AgentProfile | undefined> {
    const [row] = await this.#reader.query((sql) =>
      sql.unsafe<AgentRow[]>(`select ${agentColumns} from agents where id = $1::uuid`, [id], {
        prepare: true,
      }),
    );
    return row === undefined ? undefined : this.#profile(row);
  }

  async byEmail(email: string): Promise<{ profile: AgentProfile; password: string } | undefined> {
    const [row] = await this.#reader.query((sql) =>
      sql.unsafe<AgentRow[]>(`select ${agentColumns} from agents where email = $1`, [email.toLowerCase()]),
    );
    return row === undefined ? undefined : { profile: this.#profile(row), password: row.password };
  }

  async agentsIn(group: string): Promise<readonly string[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ id: string }[]>`select id from agents where ${group} = any(groups) order by id`,
    );
    return rows.map((row) => row.id);
  }

  async profiles(group: string | undefined, limit: number): Promise<AgentProfile[]> {
    const rows = await this.#reader.query((sql) =>
      sql.unsafe<AgentRow[]>(
        `select ${agentColumns} from agents where $1::text is null or $1 = any(groups) order by name, id limit $2`,
        [group ?? null, limit],
      ),
    );
    return rows.map((row) => this.#profile(row));
  }

  async savePresence(agent: string, presence: Presence): Promise<void> {
    await this.#reader.query(
      (sql) =>
        sql`update agents set presence = ${presence} where id = ${agent}::uuid and presence <> ${presence}`,
    );
  }

  async groupExists(group: string): Promise<boolean> {
    if (this.#groups.has(group)) return true;
    const rows = await this.#reader.query((sql) => sql`select 1 from groups where name = ${group}`);
    if (rows.length > 0) this.#groups.set(group, true);
    return rows.length > 0;
  }

  async groups(limit: number): Promise<string[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ name: string }[]>`select name from groups order by name limit ${limit}`,
    );
    return rows.map((row) => row.name);
  }

  /** False when there is one of this name. */
  async addGroup(name: string): Promise<boolean> {
    const rows = await this.#reader.query(
      (sql) => sql`insert into groups values (${name}) on conflict do nothing returning name`,
    );
    return rows.length > 0;
  }

  async addAgent(agent: NewAgent): Promise<AgentProfile> {
    const { id, email, name, role, groups, capacity, password } = agent;
    try {
      const [row] = await this.#reader.query((sql) =>
        sql.unsafe<AgentRow[]>(
          `insert into agents (id, email, name, kind, role, groups, capacity, password)
           values ($1::uuid, $2, $3, 'agent', $4, string_to_array($5, ','), $6, $7) returning ${agentColumns}`,
          [id, email.toLowerCase(), name, role, groups.join(','), capacity, password],
        ),
      );
      return this.#profile(row!);
    } catch (error) {
      if (isServerError(error) && error.code === '23505')
        throw new KefuError('conflict', 'there is an agent with that e-mail already');
      throw error;
    }
  }

  async countAgents(): Promise<number> {
    const [row] = await this.#reader.query(
      (sql) => sql<{ count: string }[]>`select count(*) as count from agents`,
    );
    return Number(row!.count);
  }

  async addCustomer(customer: Customer, wallMs: number): Promise<void> {
    const { id, name, externalId, channel, attributes } = customer;
    await this.#reader.query(
      (sql) => sql`insert into customers values (${id}::uuid, ${name}, ${externalId}, ${channel},
        ${JSON.stringify(attributes)}::text::json, ${wallMs})`,
    );
  }

  async customer(id: string): Promise<Customer | undefined> {
    const [row] = await this.#reader.query(
      (sql) =>
        sql<
          { id: string; name: string; external_id: string | null; channel: string; attributes: Attributes }[]
        >`select * from customers where id = ${id}::uuid and erased_at is null`,
    );
    if (row === undefined) return undefined;
    const { name, external_id: externalId, channel, attributes } = row;
    return { id, name, externalId, channel, attributes };
  }

  #profile(row: AgentRow): AgentProfile {
    const { id, email, name, kind, role, presence } = row;
    const groups = row.groups === '' ? [] : row.groups.split(',');
    return { id, email, name, kind, role, groups, capacity: row.capacity ?? this.#capacity, presence };
  }
}
