import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { http, visitor } from '../support/client.ts';
import { postmasterPid, startNode } from '../support/node.ts';
import { Talkers } from './talkers.ts';
import { crashEnv, postgresProcesses, signalAll, statusOf } from './world.ts';

t.setTimeout(180_000);
const env = { ...crashEnv, KEFU_JOURNAL_COMMIT_WAIT: '1s', KEFU_STORE_READ_WAIT: '1s' };
/** commit_wait, its tick, and a busy machine. */
const answerMaxMs = 5000;

t.test('when PostgreSQL is killed it comes back, and nothing is lost, doubled or half done', async (t) => {
  const node = await startNode({ env });
  const talkers = await Talkers.start(node, 6);
  for (let round = 0; round < 2; round += 1) {
    await talkers.untilAcked(200);
    const pid = postmasterPid(node.dataDir)!;
    process.kill(pid, 'SIGKILL');
    await until('a new PostgreSQL', async () => {
      await statusOf(node, '/healthz');
      const now = postmasterPid(node.dataDir);
      return now !== undefined && now !== pid;
    });
    await talkers.untilAcked(200);
    await until('ready', async () => (await statusOf(node, '/readyz')) === 200);
    t.same(await talkers.check(), [], `${talkers.acked.length} acked, ${talkers.refused.length} refused`);
  }
  t.ok(talkers.slowestMs < answerMaxMs, `the slowest answer took ${Math.round(talkers.slowestMs)} ms`);
  talkers.stop();
  await node.remove();
});

t.test('when PostgreSQL hangs callers are told so in time, and what was refused is not there', async (t) => {
  const node = await startNode({ env });
  const talkers = await Talkers.start(node, 6);
  const { token } = await visitor(node);
  await talkers.untilAcked(200);
  const pids = postgresProcesses(node);
  talkers.mayBeSilent = true;
  signalAll(pids, 'SIGSTOP');
  try {
    const asked = performance.now();
    const { status, body } = await http(node, 'POST', '/v1/sessions', { token, body: { group: 'support' } });
    t.match({ status, body }, { status: 503, body: { error: { code: 'unavailable' } } });
    const tookMs = performance.now() - asked;
    t.ok(tookMs < answerMaxMs, `who asks for something new is told in ${Math.round(tookMs)} ms`);
    await talkers.untilRefused(10);
    t.ok(talkers.refused.every(({ code }) => code === 'unavailable'));
    await until('not ready', async () => (await statusOf(node, '/readyz')) === 503);
    t.equal(await statusOf(node, '/healthz'), 200);
  } finally {
    signalAll(pids, 'SIGCONT');
  }
  await talkers.untilAcked(300);
  await until('ready', async () => (await statusOf(node, '/readyz')) === 200);
  t.same(await talkers.check(), [], `${talkers.acked.length} acked, ${talkers.refused.length} refused`);
  t.comment(`${talkers.unanswered} were not answered`);
  talkers.stop();
  await node.remove();
});
