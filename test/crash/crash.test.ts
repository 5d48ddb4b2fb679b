import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Client, http, visitor, type Frame } from '../support/client.ts';
import { runRefused, startNode, type TestNode } from '../support/node.ts';
import { faultsOf, startLoad } from './load.ts';

const env = {
  KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
  KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
  KEFU_TEST_HOOKS: '1',
};
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 4);
t.setTimeout(280_000);

async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} took longer than ${deadlineMs} ms`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

t.test('a node that is killed under load has lost nothing that it acked, again and again', async (t) => {
  let node = await startNode({ env });
  const { dataDir } = node;
  for (let round = 0; round < rounds; round += 1) {
    const load = await startLoad(node, 8);
    await load.ackedAtLeast(400 + round * 137);
    await node.kill();
    load.stop();
    node = await startNode({ env, dataDir });
    t.same(await faultsOf(node, load), [], `round ${round}: ${load.acked.length} acked`);
    const { token, session, client } = load.talkers[0]!;
    const seq = client.lastSeq[session]!;
    const again = await Client.hello(node.wsUrl, token, { resume: { [session]: seq } });
    const answer = await again.say(session, 'after the crash');
    t.equal(answer.t, 'ack');
    t.same(again.faults, []);
    for (const talker of load.talkers)
      await http(node, 'POST', `/v1/sessions/${talker.session}/close`, { token: talker.token, body: {} });
    again.close();
  }
  await node.remove();
});

t.test('a worker thread that dies is replaced; the others go on, and nothing acked is lost', async (t) => {
  const node = await startNode({ env, args: ['--workers', '2'] });
  for (const worker of [0, 1]) {
    const load = await startLoad(node, 8);
    await load.ackedAtLeast(300);
    // Which worker takes a request is the kernel's choice: ask until the right one has.
    await until('the crash', async () => {
      const { status } = await http(node, 'POST', `/v1/test/crash-worker?worker=${worker}`, {}).catch(() => ({
        status: 0,
      }));
      return status === 202 || status === 0;
    });
    await until('the replacement', () => node.logs().includes(`worker ${worker} serves again`));
    const living = load.talkers.filter(({ client }) => client.closed === undefined);
    const before = load.acked.length;
    if (living.length > 0) await load.ackedAtLeast(before + 50);
    load.stop();
    t.same(
      await faultsOf(node, load),
      [],
      `${load.acked.length} acked, ${living.length} of 8 connections went on`,
    );
    for (const { token, session } of load.talkers) {
      const again = await Client.hello(node.wsUrl, token);
      t.equal((await again.say(session, 'after')).t, 'ack');
      t.same(again.faults, []);
      again.close();
      await http(node, 'POST', `/v1/sessions/${session}/close`, { token, body: {} });
    }
  }
  t.equal((await http(node, 'GET', '/healthz')).status, 200);
  await node.remove();
});

function postmaster(node: TestNode): number {
  return Number(readFileSync(join(node.dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n', 1)[0]);
}

t.test(
  'when the database is gone requests are refused or unanswered, and when it is back all goes on by itself',
  async (t) => {
    const node = await startNode({
      env: { ...env, KEFU_JOURNAL_COMMIT_WAIT: '1s', KEFU_STORE_READ_WAIT: '1s' },
    });
    const load = await startLoad(node, 6);
    await load.ackedAtLeast(200);
    const pid = postmaster(node);
    process.kill(pid, 'SIGKILL');
    await until('a new PostgreSQL', () => node.logs().includes('PostgreSQL is back'));
    await load.ackedAtLeast(load.acked.length + 200);
    await until('ready', async () => (await http(node, 'GET', '/readyz')).status === 200);
    load.stop();
    t.same(await faultsOf(node, load), [], `${load.acked.length} acked, ${load.refused.length} refused`);
    await node.remove();
  },
);

t.test(
  'when the database hangs callers are told so in time, and what they were refused is not there',
  async (t) => {
    const node = await startNode({
      env: { ...env, KEFU_JOURNAL_COMMIT_WAIT: '1s', KEFU_STORE_READ_WAIT: '1s' },
    });
    const load = await startLoad(node, 6);
    await load.ackedAtLeast(200);
    const pids = postgresProcesses(postmaster(node));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await until('a refusal', () => load.refused.length > 10);
    t.ok(load.refused.every(({ code }) => code === 'unavailable'));
    t.equal((await http(node, 'GET', '/readyz')).status, 503);
    t.equal((await http(node, 'GET', '/healthz')).status, 200);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await load.ackedAtLeast(load.acked.length + 200);
    load.stop();
    t.same(await faultsOf(node, load), [], `${load.acked.length} acked, ${load.refused.length} refused`);
    await node.remove();
  },
);

/** The postmaster and its children. */
function postgresProcesses(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [...(children === '' ? [] : children.split(' ').map(Number)), pid];
}

t.test('SIGTERM under load ends with 0 within 10 s, and nothing acked is lost', async (t) => {
  const node = await startNode({ env });
  const load = await startLoad(node, 8);
  await load.ackedAtLeast(300);
  const asked = Date.now();
  t.equal(await node.stop(), 0);
  t.ok(Date.now() - asked < 10_000, `${Date.now() - asked} ms`);
  load.stop();
  t.ok(load.talkers.every(({ client }) => client.frames.some((frame: Frame) => frame.t === 'goaway')));
  const again = await startNode({ env, dataDir: node.dataDir });
  t.same(await faultsOf(again, load), []);
  await again.remove();
});

t.test('a data directory is one node’s, and a second signal ends it at once', async (t) => {
  const node = await startNode({ env });
  const second = await runRefused(['--demo', '--port', '0', '--data-dir', node.dataDir]);
  t.equal(second.code, 1);
  t.match(second.output, /^kefu: the data directory .* is in use by another kefu \(process \d+\)/);
  t.equal(second.output.trim().split('\n').length, 1, 'one line');
  const busy = await runRefused([
    '--demo',
    '--port',
    String(node.port),
    '--data-dir',
    `${node.dataDir}/other`,
  ]);
  t.match(busy.output, /^kefu: port \d+ of 127.0.0.1 is in use/);
  await visitor(node);
  node.signal('SIGTERM');
  node.signal('SIGINT');
  t.ok((await node.exited) !== undefined);
  await node.remove();
});
