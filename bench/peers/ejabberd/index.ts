import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../../scripts/processes.ts';
import { NotInstalled, openPeerPool, programOf, type PeerStart, type RunningPeer } from '../peer.ts';

/**
 * ejabberd of Debian with its message archive (XEP-0313) in PostgreSQL. Each message is inserted into its sender's and
 * its receiver's archive, as that archive is meant, before it goes on; the ack is that of stream management
 * (XEP-0198), which its sender's process gives after that. Tuned: no shaper, no TLS, no roster, offline, carbons or
 * privacy modules, XML archived as text, kernel poll, both schedulers, `sqlConnections` connections to PostgreSQL.
 */
const sqlConnections = 20;
const readyWaitMs = 60_000;
const schema = '/usr/share/ejabberd/sql/pg.sql';
export const host = 'localhost';
export const password = 'bench';
export const userOf = (number: number): string => `user${number}`;

export async function startEjabberd({ address, folder }: PeerStart, users: number): Promise<RunningPeer> {
  const erl = programOf('erl');
  if (erl === undefined || programOf('ejabberdctl') === undefined)
    throw new NotInstalled('ejabberd is not installed: npm run bench:peers');
  if (!('socketDir' in address)) throw new Error('a PostgreSQL of our own is meant');
  const sql = openPeerPool(address, 1);
  await sql.unsafe(readFileSync(schema, 'utf8'));
  const names = Array.from({ length: users }, (_, number) => userOf(number));
  await sql`insert into users (username, password) select unnest(${names}::text[]), ${password}`;
  await sql.end();
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  writeFileSync(
    join(folder, 'ejabberd.yml'),
    `
hosts: [${host}]
loglevel: warning
log_rotate_count: 0
auth_method: sql
auth_password_format: plain
default_db: sql
sql_type: pgsql
sql_server: 127.0.0.1
sql_port: ${address.port}
sql_username: ${address.user}
sql_password: ""
sql_database: ${address.database}
sql_pool_size: ${sqlConnections}
sql_prepared_statements: true
listen:
  - port: ${port}
    ip: 127.0.0.1
    module: ejabberd_http
    tls: false
    request_handlers:
      /v1/ws: ejabberd_http_ws
modules:
  mod_mam:
    db_type: sql
    default: always
  mod_stream_mgmt:
    max_ack_queue: infinity
    ack_timeout: 1 hour
  mod_ping: {}
`,
  );
  const env = {
    ...process.env,
    ERL_LIBS: '/usr/lib/x86_64-linux-gnu',
    EJABBERD_CONFIG_PATH: join(folder, 'ejabberd.yml'),
    EJABBERD_LOG_PATH: join(folder, 'ejabberd.log'),
    ERL_CRASH_DUMP: join(folder, 'crash.dump'),
  };
  const args = [
    '+K',
    'true',
    '+P',
    '250000',
    '-noinput',
    '-mnesia',
    'dir',
    JSON.stringify(folder),
    '-s',
    'ejabberd',
  ];
  const child = spawn(erl, args, { env, cwd: folder, stdio: 'ignore' });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  await listening(port, () => child.exitCode !== null);
  return { port, label: 'ejabberd + MAM', stop };
}

async function listening(port: number, isOver: () => boolean): Promise<void> {
  const untilMs = performance.now() + readyWaitMs;
  while (performance.now() < untilMs && !isOver()) {
    const there = await new Promise<boolean>((resolve) => {
      const socket = createConnection(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => setTimeout(resolve, 100, false));
    });
    if (there) return;
  }
  throw new Error('ejabberd does not listen');
}
