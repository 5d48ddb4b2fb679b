import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { customerWithSession, http, login, type Frame } from '../support/client.ts';
import { postmasterPid, startNode, type TestNode } from '../support/node.ts';

const run = promisify(execFile);
let node: TestNode;
let admin: string;
t.setTimeout(120_000);
t.before(async () => {
  node = await startNode({ env: { KEFU_ARCHIVE_AFTER: '0', KEFU_ARCHIVE_EVERY: '200ms' } });
  admin = (await login(node, 'admin')).token;
});
t.teardown(() => node.remove());

async function history(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const all = ['src/main.ts', 'history', ...args, '--data-dir', node.dataDir];
  try {
    const { stdout, stderr } = await run(process.execPath, all, { maxBuffer: 64 * 2 ** 20 });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

async function stats(): Promise<Record<string, number>> {
  const { out, err } = await history('stats', '--json');
  if (out === '') throw new Error(err);
  return JSON.parse(out) as Record<string, number>;
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.startsWith('archive~'))
    .map((entry) => join(entry.parentPath, entry.name));
}

t.test('the archive from outside: stats, verify, export and restore, beside a node that runs', async (t) => {
  const customer = await customerWithSession(node);
  for (let n = 1; n <= 5; n += 1) await customer.say(customer.session, `m${n}`, `句子 ${n}`);
  await customer.ask({ t: 'close', session: customer.session });
  const endMs = performance.now() + 30_000;
  while ((await stats())['cold_sessions'] !== 1)
    if (performance.now() > endMs) throw new Error('nothing was archived');
  t.match(await stats(), {
    cold_events: 7,
    warm_events: 0,
    warm_oldest: null,
    warm_closed_sessions: 0,
    segments: 1,
    garbage_share: 0,
  });
  const open = await customerWithSession(node);
  const { warm_sessions, warm_oldest, warm_newest, warm_bytes } = await stats();
  t.match(
    { warm_sessions, warm_oldest, warm_newest },
    { warm_sessions: 1, warm_oldest: /^2.*Z$/, warm_newest: /Z$/ },
  );
  t.ok(warm_bytes! > 0);
  open.close();
  const sound = await history('verify');
  t.equal(sound.code, 0, sound.err);
  t.match(sound.out, '1 sessions in 1 segments are sound, 0 problems');
  const exported = await history('export', '--customer', customer.id);
  const { session, events } = JSON.parse(exported.out) as { session: Frame; events: Frame[] };
  t.equal(session.id, customer.session);
  t.same(
    events.map((event) => event.seq),
    [1, 2, 3, 4, 5, 6, 7],
  );
  const [file] = files(join(node.dataDir, 'objects'));
  const bytes = readFileSync(file!);
  const flipped = Buffer.from(bytes);
  flipped[30]! ^= 1;
  writeFileSync(file!, flipped);
  const broken = await history('verify');
  t.equal(broken.code, 1);
  t.match(broken.out, new RegExp(`BROKEN archive/.*session ${customer.session} at byte 8`));
  const index = Buffer.from(bytes);
  index[bytes.length - 70]! ^= 1;
  writeFileSync(file!, index);
  const indexBroken = await history('verify');
  t.match(indexBroken.out, 'index', 'a broken index is told');
  t.match(indexBroken.out, '1 sessions in 1 segments are sound', 'and its sessions stay readable');
  writeFileSync(file!, bytes);
  const restored = await history('restore', '--session', customer.session);
  t.match(restored.out, '1 sessions with 7 events are back', restored.err);
  t.match(
    (await history('restore', '--session', customer.session)).out,
    /^[01] sessions/,
    'twice does no harm',
  );
  const log = await http(node, 'GET', `/v1/sessions/${customer.session}/events`, { token: admin });
  t.equal(log.body.data.length, 7);
  customer.close();
});

t.test('what is wrong is said in one line', async (t) => {
  for (const [args, text] of [
    [['mend'], 'history knows verify'],
    [['restore'], 'restore what'],
    [['restore', '--session', '7'], '--session: "7" is no id'],
    [['export', '--from', 'then'], '--from: "then" is no time'],
    [['export', '--out'], '--out: a value must follow'],
  ] as const) {
    const answer = await history(...args);
    t.equal(answer.code, 2, args.join(' '));
    t.match(answer.err, text);
  }
  const all = ['src/main.ts', 'history', 'stats', '--data-dir', t.testdir()];
  const gone = await run(process.execPath, all).catch((error: { code: number; stderr: string }) => error);
  t.match(gone, { code: 2, stderr: /no PostgreSQL runs in/ });
});

t.test('without its node the database is started for the command, and for one at a time', async (t) => {
  await node.kill();
  const first = await stats();
  t.equal(first['cold_sessions'], 1);
  t.equal(postmasterPid(node.dataDir), undefined, 'and ended with it');
  // What a server leaves behind that is killed.
  const socket = join(node.dataDir, 'postgres', '.s.PGSQL.5432');
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => console.log('there'))`;
  const killed = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  t.ok(existsSync(socket));
  const both = await Promise.all([history('verify'), history('verify')]);
  const [done, refused] = both[0].code === 0 ? both : both.toReversed();
  t.match(done!.out, '1 sessions in 1 segments are sound', done!.err);
  if (refused!.code !== 0)
    t.match(refused!.err, /^kefu: .*(?:in use by another kefu \(process \d+\)|stopped meanwhile).*\n$/);
  node = await startNode({ dataDir: node.dataDir, port: node.port });
  t.equal((await stats())['cold_sessions'], 1);
});
