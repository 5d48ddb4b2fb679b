import postgres from 'postgres';
import { shardCount } from '../../src/core/ids.ts';
import type { SimChance } from './chance.ts';
import type { SimTime } from './time.ts';

export interface ShardRow {
  readonly id: number;
  epoch: number;
  owner: string;
  writer: string;
}

/** As the column names of the table. */
export interface SessionRow {
  readonly id: string;
  readonly state: string;
  readonly customer: string;
  readonly agent: string | null;
  readonly group_name: string;
  readonly priority: number;
  readonly target: string | null;
  readonly last_agent: string | null;
  readonly waiting_since: number;
  readonly [column: string]: unknown;
}

export interface EventRow {
  readonly session: string;
  readonly seq: number;
  readonly data: string;
}

/** An event as it was committed, and under which fence. */
export interface Added extends EventRow {
  readonly shard: number;
  readonly epoch: number;
  readonly writer: string;
}

/** A statement at the server, which is a transaction. */
export interface Statement {
  /** Rows of `shards` that it locks, in order, before it looks at them. */
  readonly locks: readonly number[];
  readonly exclusive: boolean;
  /** Looks, once the locks are held; returns what becomes visible at the commit, and the answer. */
  run(): { readonly rows: readonly unknown[]; readonly commit?: () => void };
}

interface Lock {
  shared: number;
  exclusive: boolean;
  readonly waiting: { readonly exclusive: boolean; readonly go: () => void }[];
}

export interface DatabaseFaults {
  /** Each transaction: rolled back for a passing cause; a connection that breaks before, and after the commit. */
  readonly rolledBack: number;
  readonly lostBefore: number;
  readonly lostAfter: number;
  /** The client gives the connection up, and the statement arrives later than that. */
  readonly straggles: number;
}

export class ServerError extends postgres.PostgresError {
  constructor(code: string, message: string) {
    // Its types say that it takes a text; it copies the fields of what it is given.
    super({ message, code } as unknown as string);
  }
}

/** PostgreSQL: tables, row locks of `shards`, statements that take time, and its absence. */
export class SimDatabase {
  readonly shards: ShardRow[] = Array.from({ length: shardCount }, (_, id) => ({
    id,
    epoch: 0,
    owner: '',
    writer: '',
  }));
  readonly sessions = new Map<string, SessionRow>();
  /** By session, in the order of seq. */
  readonly events = new Map<string, EventRow[]>();
  readonly agents = new Map<string, { presence: string; readonly [column: string]: unknown }>();
  readonly groups = new Set<string>();
  /** Told of each transaction that added events. */
  committed: (added: readonly Added[]) => void = () => undefined;
  readonly faults: DatabaseFaults;
  readonly time: SimTime;
  readonly chance: SimChance;
  /** Clients, which hear of it when the server dies. */
  readonly connections = new Set<{ readonly node: string; break(): void; silence(): void }>();
  readonly #locks: Lock[] = Array.from({ length: shardCount }, () => ({
    shared: 0,
    exclusive: false,
    waiting: [],
  }));
  /** Counts up when the server dies: what ran before is rolled back. */
  #life = 0;
  #upAtMs = 0;
  #hangsUntilMs = 0;
  #quiet = false;

  constructor(time: SimTime, chance: SimChance, faults: DatabaseFaults) {
    this.time = time;
    this.chance = chance;
    this.faults = faults;
  }

  get life(): number {
    return this.#life;
  }

  get isUp(): boolean {
    return this.time.nowMs() >= this.#upAtMs;
  }

  /** Nothing begins to run before. */
  get hangsForMs(): number {
    return Math.max(0, this.#hangsUntilMs - this.time.nowMs());
  }

  happens(probability: number): boolean {
    return !this.#quiet && this.chance.happens(probability);
  }

  /** The server dies, and is back after `ms`: all connections break, what was not committed is rolled back. */
  crash(ms: number): void {
    this.#life += 1;
    this.#upAtMs = this.time.nowMs() + ms;
    for (const lock of this.#locks) {
      lock.shared = 0;
      lock.exclusive = false;
      lock.waiting.length = 0;
    }
    for (const connection of this.connections) connection.break();
  }

  hang(ms: number): void {
    this.#hangsUntilMs = this.time.nowMs() + ms;
  }

  heal(): void {
    this.#quiet = true;
    this.#hangsUntilMs = 0;
    this.#upAtMs = Math.min(this.#upAtMs, this.time.nowMs());
  }

  /** Runs a statement, and calls back when it has committed or was rolled back; never if the server dies meanwhile. */
  execute(statement: Statement, done: (rows: readonly unknown[] | ServerError) => void): void {
    const life = this.#life;
    if (this.hangsForMs > 0) {
      this.time.after(this.hangsForMs, () => {
        if (life === this.#life) this.execute(statement, done);
      });
      return;
    }
    this.#lock(statement, 0, () => {
      if (life !== this.#life) return;
      if (statement.locks.length > 0 && this.happens(this.faults.rolledBack)) {
        this.#unlock(statement);
        return done(new ServerError('40001', 'could not serialize access'));
      }
      let result: ReturnType<Statement['run']>;
      try {
        result = statement.run();
      } catch (error) {
        this.#unlock(statement);
        if (error instanceof ServerError) return done(error);
        throw error;
      }
      const { rows, commit } = result;
      if (commit === undefined) {
        this.#unlock(statement);
        return done(rows);
      }
      const slow = this.happens(0.01) ? 100 : 1;
      this.time.after(this.chance.between(0.2, 2) * slow, () => {
        if (life !== this.#life) return;
        try {
          commit();
        } catch (error) {
          this.#unlock(statement);
          if (error instanceof ServerError) return done(error);
          throw error;
        }
        this.#unlock(statement);
        done(rows);
      });
    });
  }

  #lock(statement: Statement, from: number, then: () => void): void {
    const { locks, exclusive } = statement;
    const life = this.#life;
    for (let at = from; at < locks.length; at += 1) {
      const lock = this.#locks[locks[at]!]!;
      const isFree = !lock.exclusive && (exclusive ? lock.shared === 0 : lock.waiting.length === 0);
      if (!isFree) {
        const go = (): void => {
          if (life === this.#life) this.#lock(statement, at + 1, then);
        };
        lock.waiting.push({ exclusive, go });
        return;
      }
      if (exclusive) lock.exclusive = true;
      else lock.shared += 1;
    }
    then();
  }

  #unlock({ locks, exclusive }: Statement): void {
    for (const id of locks) {
      const lock = this.#locks[id]!;
      if (exclusive) lock.exclusive = false;
      else lock.shared -= 1;
      this.#grant(lock);
    }
  }

  #grant(lock: Lock): void {
    for (let next = lock.waiting[0]; next !== undefined; next = lock.waiting[0]) {
      if (lock.exclusive || (next.exclusive && lock.shared > 0)) return;
      lock.waiting.shift();
      if (next.exclusive) lock.exclusive = true;
      else lock.shared += 1;
      this.time.soon(next.go);
    }
  }

  /** Adds events and changes the index: what a journal's transaction does at its commit. */
  add(events: readonly Added[], states: readonly SessionRow[]): void {
    for (const { session, seq } of events) {
      const log = this.events.get(session);
      if (log?.some((event) => event.seq === seq))
        throw new ServerError('23505', 'duplicate key value violates unique constraint "events_pkey"');
    }
    for (const { session, seq, data } of events) {
      const log = this.events.get(session);
      if (log === undefined) this.events.set(session, [{ session, seq, data }]);
      else log.push({ session, seq, data });
    }
    for (const row of states) {
      const old = this.sessions.get(row.id);
      this.sessions.set(row.id, old === undefined ? row : { ...old, ...changing(row) });
    }
    this.committed(events);
  }
}

/** What `on conflict do update` sets. */
function changing(row: SessionRow): Partial<SessionRow> {
  const {
    state,
    agent,
    agent_name,
    group_name,
    priority,
    target,
    last_agent,
    waiting_since,
    closed_at,
    rated,
  } = row;
  return {
    state,
    agent,
    agent_name,
    group_name,
    priority,
    target,
    last_agent,
    waiting_since,
    closed_at,
    rated,
  };
}
