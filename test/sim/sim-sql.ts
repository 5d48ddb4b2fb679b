import type { Sql } from '../../src/store/database.ts';
import type { Rules } from './statements.ts';
import { statementOf } from './statements.ts';
import { ServerError, type SimDatabase } from './sim-database.ts';
import type { ThreadClock } from './time.ts';

export interface SqlOptions {
  readonly node: string;
  readonly database: SimDatabase;
  readonly clock: ThreadClock;
  /** How long messages between this node and the server are held up just now. */
  readonly cutForMs: () => number;
  readonly rules: Rules;
}

interface Query {
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

/** A connection of its own: statements run one after the other; when it breaks, what is on its way stays on its way. */
class Connection {
  readonly #options: SqlOptions;
  readonly #life: number;
  readonly #queries = new Set<Query>();
  readonly #queue: (() => void)[] = [];
  #running = false;
  #lastArrivalMs = 0;
  #silent = false;
  broken = false;
  readonly node: string;

  constructor(options: SqlOptions) {
    this.#options = options;
    this.node = options.node;
    this.#life = options.database.life;
    options.database.connections.add(this);
  }

  query(text: string, params: readonly unknown[]): Promise<readonly unknown[]> {
    const { database, rules } = this.#options;
    const statement = statementOf(database, text, params, rules);
    return new Promise((resolve, reject) => {
      const query = { resolve, reject };
      this.#queries.add(query);
      const locks = statement.locks.length > 0;
      const lostBefore = locks && database.happens(database.faults.lostBefore);
      const lostAfter = locks && database.happens(database.faults.lostAfter);
      const straggles = locks && database.happens(database.faults.straggles);
      if (lostBefore) return void database.time.after(1, () => this.break());
      // The client believes the connection broken while what it sent still travels.
      if (straggles) database.time.after(database.chance.between(0, 2), () => this.break());
      this.#arrive(straggles ? database.chance.between(1, 3000) : 0, () => {
        // A server that died meanwhile does not know this connection; the client hears of it.
        if (database.life !== this.#life) return this.break();
        database.execute(statement, (rows) => {
          this.#next();
          if (lostAfter) return this.break();
          this.#answer(query, rows);
        });
      });
    });
  }

  /** The client's side is over: whoever waits is told. */
  break(): void {
    if (this.broken) return;
    this.broken = true;
    this.#options.database.connections.delete(this);
    for (const query of this.#queries)
      this.#options.clock.run(() => query.reject(new Error('the connection to the database broke')));
    this.#queries.clear();
  }

  /** From here on nothing passes, in either direction. */
  silence(): void {
    this.#silent = true;
  }

  #arrive(extraMs: number, work: () => void): void {
    const { database, cutForMs } = this.#options;
    const ms = database.chance.between(0.1, 0.6) + cutForMs() + extraMs;
    const atMs = Math.max(this.#lastArrivalMs, database.time.nowMs() + ms);
    this.#lastArrivalMs = atMs;
    database.time.after(atMs - database.time.nowMs(), () => {
      if (this.#silent) return;
      this.#queue.push(work);
      if (!this.#running) this.#next();
    });
  }

  #next(): void {
    const work = this.#queue.shift();
    this.#running = work !== undefined;
    work?.();
  }

  #answer(query: Query, rows: readonly unknown[] | ServerError): void {
    const { database, cutForMs, clock } = this.#options;
    database.time.after(database.chance.between(0.1, 0.6) + cutForMs(), () =>
      clock.run(() => {
        if (this.#silent || !this.#queries.delete(query)) return;
        if (rows instanceof ServerError) query.reject(rows);
        else query.resolve(rows);
      }),
    );
  }
}

/**
 * The driver as the store uses it. `single`: one connection, as the journal's; otherwise each query has its own, as
 * far as their order goes. A broken connection is opened anew for the next query, as the driver does.
 */
export function simSql(options: SqlOptions, single: boolean): Sql {
  const { database } = options;
  let ended = false;
  let connection = new Connection(options);
  const open = new Set<Connection>();
  const breaks = (): void => {
    for (const it of open) it.break();
    open.clear();
  };
  const close = (it: Connection): void => {
    open.delete(it);
    database.connections.delete(it);
  };
  const query = (text: string, params: readonly unknown[]): Promise<readonly unknown[]> => {
    if (ended) return Promise.reject(new Error('the pool has ended'));
    if (!database.isUp)
      return new Promise((_, reject) => {
        database.time.after(1, () =>
          options.clock.run(() => reject(new Error('the database refuses connections'))),
        );
      });
    if (!single || connection.broken) connection = new Connection(options);
    const it = connection;
    open.add(it);
    const result = it.query(text, params);
    if (!single) result.then(() => close(it)).catch(() => close(it));
    return result;
  };
  const tag = (parts: readonly string[], ...params: readonly unknown[]): Promise<readonly unknown[]> =>
    query(parts.join('$'), params);
  const driver = Object.assign(tag, {
    unsafe: (text: string, params: readonly unknown[] = []) => query(text, params),
    end: () => {
      ended = true;
      breaks();
      return Promise.resolve();
    },
  });
  return driver as unknown as Sql;
}
