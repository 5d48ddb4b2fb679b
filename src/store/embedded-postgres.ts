import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { StartError } from '../core/start-error.ts';
import { openPool, type DatabaseAddress } from './database.ts';
import { endRemains } from './embedded-postgres-remains.ts';
import { PostgresServer } from './embedded-postgres-server.ts';
import { choosePostgresUser, type PostgresUser } from './embedded-postgres-user.ts';

/**
 * A PostgreSQL that comes along: the binaries of @embedded-postgres, its data in DATA_DIR/postgres, reached over a
 * socket that only this user can open. fsync is on: what it says is committed is on the disk.
 */
export interface EmbeddedPostgres {
  readonly address: DatabaseAddress;
  /** A fast shutdown: clients are cut, everything committed is flushed. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly sharedBuffersBytes: number;
  /** How many connections will be opened at most, for all threads; default and least: 200. */
  readonly connectionsMax?: number;
  /** Also reached over TCP at this port, on loopback and by anybody there: for benchmarks of programs that know no other way. */
  readonly loopbackPort?: number;
  readonly log: Logger;
  /** It has ended by itself, and is being started again. */
  readonly onExit: () => void;
}

const major = 18;
const usualPort = 5432;
const database = 'kefu';
const connectionsLeast = 200;
const initdbWaitMs = 60_000;
/** A Unix socket's path may have 107 bytes; its file's name has up to 20 of them with PostgreSQL's lock beside it. */
const socketDirMax = 85;

/** Only for who holds the data directory. From the main thread: the server ends with the thread that starts it. */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log, onExit } = options;
  const binaries = findBinaries();
  // What counts is where it is, not by which links it was named.
  const dataDir = realpathSync(options.dataDir);
  const cluster = join(dataDir, 'postgres');
  const socketDir = chooseSocketDir(cluster);
  const user = choosePostgresUser(binaries, [dataDir, dirname(socketDir)], cluster);
  const port = options.loopbackPort ?? usualPort;
  const exists = checkCluster(cluster);
  const socketFile = join(socketDir, `.s.PGSQL.${port}`);
  if (exists) await endRemains(cluster, socketFile);
  else makeCluster(binaries, cluster, user);
  if (socketDir !== cluster) makeSocketDir(socketDir, user);
  const settings = settingsOf(socketDir, options);
  const server = new PostgresServer({ binaries, cluster, socketFile, settings, user, log, onExit });
  const stop = async (): Promise<void> => {
    await server.stop();
    if (socketDir !== cluster) removeSocketDir(socketDir);
  };
  const address = { socketDir, port, user: 'kefu', database } as const;
  try {
    await server.start();
    await makeDatabase(address);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, stop };
}

/** Where a node that runs with this data directory has its PostgreSQL. */
export function embeddedAddress(dataDir: string): DatabaseAddress {
  const cluster = join(existsSync(dataDir) ? realpathSync(dataDir) : dataDir, 'postgres');
  const socketDir = chooseSocketDir(cluster);
  if (!existsSync(join(socketDir, `.s.PGSQL.${usualPort}`)))
    throw new StartError(
      `no PostgreSQL runs in ${dataDir}: start the node first, name its --data-dir, or give --postgres URL`,
    );
  return { socketDir, port: usualPort, user: 'kefu', database };
}

function findBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve(name);
    for (let folder = dirname(main); folder !== dirname(folder); folder = dirname(folder)) {
      const found = join(folder, 'native/bin');
      if (existsSync(join(found, 'postgres'))) return found;
    }
  } catch {
    // Told below, with the way out.
  }
  throw new StartError(`there is no embedded PostgreSQL for this machine (${name}): give --postgres URL`);
}

/** Whether there is a cluster to be served. Whatever else is found there is somebody's: it is never removed. */
function checkCluster(cluster: string): boolean {
  let found: string[];
  let version: string;
  try {
    found = readdirSync(cluster);
    if (found.length === 0) return false;
    version = found.includes('PG_VERSION') ? readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim() : '';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    throw new StartError(`${cluster} can’t be read by this user: ${message}`);
  }
  if (version === String(major)) return true;
  if (version === '')
    throw new StartError(
      `${cluster} holds something that is no PostgreSQL: move it away, or use another --data-dir`,
    );
  throw new StartError(
    `${cluster} is of PostgreSQL ${version}, and this kefu brings ${major}: run the kefu that made it, ` +
      `or serve it with PostgreSQL ${version} and give --postgres URL`,
  );
}

/** initdb writes PG_VERSION first, so a cluster is made beside and gets its name when it is whole. */
function makeCluster(binaries: string, cluster: string, user: PostgresUser): void {
  const draft = `${cluster}.new`;
  rmSync(draft, { recursive: true, force: true });
  makeOwnFolder(draft, user);
  const locale = ['-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const args = ['-D', draft, '-U', 'kefu', '-A', 'trust', ...locale];
  const command = user.command(join(binaries, 'initdb'), args, 'KILL');
  const made = spawnSync(command.file, command.args, {
    ...command.options,
    encoding: 'utf8',
    timeout: initdbWaitMs,
    killSignal: 'SIGKILL',
  });
  if (made.status === 0) {
    renameSync(draft, cluster);
    syncFolder(dirname(cluster));
    return;
  }
  rmSync(draft, { recursive: true, force: true });
  const said = (made.stderr || made.error?.message || 'initdb failed').trim();
  throw new StartError(`the embedded PostgreSQL can’t make ${cluster}: ${said.split('\n').at(-1)}`);
}

/** A power cut must not undo the new name: the next start would take what was served for a draft. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function makeOwnFolder(path: string, user: PostgresUser): void {
  mkdirSync(path, { mode: 0o700 });
  // Not for the umask to decide.
  chmodSync(path, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) lchownSync(path, user.uid, user.gid);
}

/** The cluster's own folder, unless its path is too long, or has what a list of paths gives a meaning. */
function chooseSocketDir(cluster: string): string {
  if (Buffer.byteLength(cluster) <= socketDirMax && /^[\w/.+@-]+$/.test(cluster)) return cluster;
  const name = `kefu-${createHash('sha256').update(cluster).digest('hex').slice(0, 12)}`;
  const temporary = realpathSync(tmpdir());
  const fits =
    Buffer.byteLength(temporary) + 1 + name.length <= socketDirMax && /^[\w/.+@-]+$/.test(temporary);
  return join(fits ? temporary : '/tmp', name);
}

/** In a folder where everybody may write, a name that is there already may be a trap: a link, or somebody else's. */
function makeSocketDir(path: string, user: PostgresUser): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return makeOwnFolder(path, user);
  const owner = user.uid ?? process.getuid?.();
  if (!stat.isDirectory() || stat.uid !== owner || (stat.mode & 0o077) !== 0)
    throw new StartError(
      `${path}, for PostgreSQL’s socket, is not ours: remove it, or use a shorter --data-dir`,
    );
}

function removeSocketDir(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not empty after an unclean end; the next start uses it again.
  }
}

function settingsOf(socketDir: string, options: EmbeddedOptions): Readonly<Record<string, string>> {
  return {
    listen_addresses: options.loopbackPort === undefined ? '' : '127.0.0.1',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    port: String(options.loopbackPort ?? usualPort),
    max_connections: String(Math.max(connectionsLeast, options.connectionsMax ?? 0)),
    shared_buffers: `${Math.ceil(options.sharedBuffersBytes / 8192)}`,
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    // By pglz: these binaries are built without lz4.
    wal_compression: 'on',
    // A new segment of 16 MB is not written full of zeros first: that held up every commit for 50 ms, each 16 MB.
    wal_init_zero: 'off',
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    jit: 'off',
    // A statement's text and parameters, and an error's details, would hold messages.
    log_min_error_statement: 'panic',
    log_parameter_max_length_on_error: '0',
    log_error_verbosity: 'terse',
    // Read by PostgresServer.
    log_line_prefix: '%m [%e] [%b] ',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
}

async function makeDatabase(address: Extract<DatabaseAddress, { socketDir: string }>): Promise<void> {
  const sql = openPool({ ...address, database: 'postgres' }, 'start', 1, 10_000);
  try {
    const found = await sql`select 1 from pg_database where datname = ${database}`;
    if (found.length === 0) await sql.unsafe(`create database ${database}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
