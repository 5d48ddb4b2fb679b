import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { StartError } from '../../src/core/start-error.ts';
import { openDataDir } from '../../src/store/data-dir.ts';

const folder = mkdtempSync(join(tmpdir(), 'kefu-data-dir-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => join(folder, `${(folders += 1)}`);

const moduleUrl = new URL('../../src/store/data-dir.ts', import.meta.url).href;
/** Takes the directory once it is told to, says how that went, and keeps it until its input ends. */
const contender = `
  process.stdout.write('loaded\\n');
  process.stdin.once('data', async () => {
    const { openDataDir } = await import(${JSON.stringify(moduleUrl)});
    try {
      await openDataDir(process.argv[1]);
      process.stdout.write('won\\n');
    } catch (error) {
      process.stdout.write(error.constructor.name + ' ' + error.message + '\\n');
    }
  });
  process.stdin.on('end', () => process.exit(0));
`;

interface Contender {
  readonly child: ChildProcess;
  go(): void;
  /** The line that tells how it went. */
  readonly result: Promise<string>;
  readonly loaded: Promise<void>;
  end(signal?: NodeJS.Signals): Promise<void>;
}

function contend(directory: string, env: Record<string, string> = {}): Contender {
  const child = spawn(process.execPath, ['--input-type=module', '-e', contender, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  t.teardown(() => void child.kill('SIGKILL'));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let output = '';
  const line = (index: number): Promise<string> =>
    new Promise((resolve, reject) => {
      child.stdout.on('data', () => {
        const lines = output.split('\n');
        if (lines.length > index + 1) resolve(lines[index]!);
      });
      void exited.then(() => reject(new Error(`it ended early, having said: ${output}`)));
    });
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  const result = line(1);
  // Whoever waits for it hears of it; nobody else needs to.
  result.catch(() => undefined);
  return {
    child,
    go: () => void child.stdin.write('go\n'),
    result,
    loaded: line(0).then(() => undefined),
    async end(signal) {
      if (signal === undefined) child.stdin.end();
      else child.kill(signal);
      await exited;
    },
  };
}

async function race(directory: string, env: Record<string, string> = {}): Promise<Contender[]> {
  const all = Array.from({ length: 10 }, () => contend(directory, env));
  await Promise.all(all.map((one) => one.loaded));
  for (const one of all) one.go();
  return all;
}

async function winnersOf(all: readonly Contender[]): Promise<Contender[]> {
  const results = await Promise.all(all.map((one) => one.result));
  return all.filter((_, index) => results[index] === 'won');
}

t.test('a missing directory is made, closed to other users as far as PostgreSQL allows', async (t) => {
  const directory = join(newFolder(), 'a', 'b');
  const dataDir = await openDataDir(directory);
  const isRoot = process.getuid?.() === 0;
  t.equal(statSync(directory).mode & 0o777, isRoot ? 0o711 : 0o700);
  t.equal(statSync(join(directory, 'kefu.lock')).mode & 0o077, 0);
  await dataDir.close();
});

t.test('a directory that exists keeps its mode', async (t) => {
  const directory = newFolder();
  mkdirSync(directory, { mode: 0o700 });
  await (await openDataDir(directory)).close();
  t.equal(statSync(directory).mode & 0o777, 0o700);
});

t.test('a directory in use is refused in one line that names the process', async (t) => {
  const directory = newFolder();
  const holder = contend(directory);
  await holder.loaded;
  holder.go();
  t.equal(await holder.result, 'won');
  const error = await openDataDir(directory).catch((error: unknown) => error);
  t.ok(error instanceof StartError);
  const { message } = error as StartError;
  t.match(message, `process ${holder.child.pid}`);
  t.match(message, '--data-dir');
  t.notMatch(message, /\n/);
  await holder.end();
});

t.test('even this process can’t take it twice; closed, it can be taken again', async (t) => {
  const directory = newFolder();
  const first = await openDataDir(directory);
  await t.rejects(openDataDir(directory), { message: /in use/ });
  await first.close();
  await (await openDataDir(directory)).close();
});

t.test('what a killed process held is free at once', async (t) => {
  const directory = newFolder();
  const holder = contend(directory);
  await holder.loaded;
  holder.go();
  t.equal(await holder.result, 'won');
  await holder.end('SIGKILL');
  const dataDir = await openDataDir(directory);
  t.equal(readFileSync(join(directory, 'kefu.lock'), 'latin1'), `${process.pid}\n`);
  await dataDir.close();
});

t.test(
  'a lock file that names a living process means nothing by itself: its number was used again',
  async (_t) => {
    const directory = newFolder();
    mkdirSync(directory);
    writeFileSync(join(directory, 'kefu.lock'), `${process.ppid}\n`);
    const dataDir = await openDataDir(directory);
    t.equal(readFileSync(join(directory, 'kefu.lock'), 'latin1'), `${process.pid}\n`);
    await dataDir.close();
  },
);

t.test('of ten processes at once exactly one wins, and of those after its death again', async (t) => {
  const directory = newFolder();
  for (let round = 0; round < 2; round += 1) {
    const all = await race(directory);
    const winners = await winnersOf(all);
    t.equal(winners.length, 1);
    for (const one of all) if (one !== winners[0]) t.match(await one.result, /^StartError .*in use/);
    await Promise.all(all.map((one) => one.end('SIGKILL')));
  }
});

t.test('without the flock tool exactly one wins too', async (t) => {
  const directory = newFolder();
  const all = await race(directory, { PATH: '/nowhere' });
  t.equal((await winnersOf(all)).length, 1);
  await Promise.all(all.map((one) => one.end('SIGKILL')));
});

t.test('a directory that can’t be made is one line', async (t) => {
  const file = newFolder();
  writeFileSync(file, '');
  const error = await openDataDir(join(file, 'below')).catch((error: unknown) => error);
  t.ok(error instanceof StartError);
  t.notMatch((error as StartError).message, /\n/);
});
