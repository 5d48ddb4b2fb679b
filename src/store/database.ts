import postgres from 'postgres';
import { KefuError } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';

/** How to reach PostgreSQL: a URL, or the directory of a socket. Plain data: workers get it too. */
export type DatabaseAddress =
  | { readonly url: string }
  | {
      readonly socketDir: string;
      readonly port: number;
      readonly user: string;
      readonly password?: string;
      readonly database: string;
    };

export type Sql = postgres.Sql;

/**
 * Opens a pool; nothing connects before the first query. `isPlannedAnew`: for what looks up many rows at once. A plan that
 * was kept since the tables were nearly empty reads them from end to end, until somebody analyzes them.
 */
export function openPool(
  address: DatabaseAddress,
  name: string,
  connections: number,
  statementMs: number,
  isPlannedAnew = false,
): Sql {
  const options = {
    max: connections,
    connect_timeout: 5,
    // A fixed short wait: the callers' own deadlines bound the whole.
    backoff: () => 0.25,
    idle_timeout: 0,
    max_lifetime: null,
    prepare: true,
    fetch_types: false,
    onnotice: () => undefined,
    connection: {
      application_name: `kefu ${name}`,
      statement_timeout: statementMs,
      client_min_messages: 'warning',
      ...(isPlannedAnew ? { plan_cache_mode: 'force_custom_plan' } : {}),
    },
  } as const;
  if ('url' in address) {
    const { url, path } = withoutSocket(address.url);
    return path === undefined ? postgres(url, options) : postgres(url, { ...options, host: path, path });
  }
  const { socketDir, port, user, password, database } = address;
  return postgres({
    ...options,
    host: `${socketDir}/.s.PGSQL.${port}`,
    path: `${socketDir}/.s.PGSQL.${port}`,
    port,
    user,
    database,
    ...(password === undefined ? {} : { password }),
  });
}

/** A URL may name the directory of a socket as libpq's do: `postgres://USER@localhost/DATABASE?host=/DIR`. */
function withoutSocket(text: string): { url: string; path: string | undefined } {
  const url = new URL(text);
  const host = url.searchParams.get('host');
  if (host === null) return { url: text, path: undefined };
  url.searchParams.delete('host');
  return {
    url: url.href,
    path: host.startsWith('/') ? `${host}/.s.PGSQL.${url.port === '' ? 5432 : url.port}` : undefined,
  };
}

/** A refusal by the server itself: the statement was rolled back. Anything else leaves its outcome open. */
export function isServerError(error: unknown): error is postgres.PostgresError {
  if (!(error instanceof postgres.PostgresError)) return false;
  // 57P01–57P03: the server is going down or starting; 08: the connection broke. 57014: its time ran out, rolled back.
  return !/^(57P|08)/.test(error.code);
}

/** Reads with a bound on the wait: a database that is gone answers `unavailable`, whatever hangs. */
export class Reader {
  readonly sql: Sql;
  readonly #clock: Clock;
  readonly #waitMs: number;

  constructor(sql: Sql, clock: Clock, waitMs: number) {
    this.sql = sql;
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  query<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancel = this.#clock.after(this.#waitMs, () => {
        reject(new KefuError('unavailable', 'the database did not answer in time', { retryAfterMs: 1000 }));
      });
      work(this.sql).then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          reject(asUnavailable(error));
        },
      );
    });
  }
}

/** A broken connection becomes `unavailable` with its cause; what the server refused stays what it is: a bug. */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof KefuError) return error;
  if (isServerError(error) && error.code !== '57014' && !error.code.startsWith('53')) return error;
  return new KefuError('unavailable', 'the database can’t be reached', { retryAfterMs: 1000, cause: error });
}
