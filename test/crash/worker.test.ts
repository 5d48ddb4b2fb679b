import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { startNode } from '../support/node.ts';
import { Talkers } from './talkers.ts';
import { crashEnv, statusOf } from './world.ts';

t.setTimeout(120_000);

t.test('a worker thread that dies is replaced; the node goes on, and nothing acked is lost', async (t) => {
  const node = await startNode({ env: crashEnv, args: ['--workers', '2'] });
  const talkers = await Talkers.start(node, 8);
  for (const worker of [0, 1]) {
    await talkers.untilAcked(300);
    // Which worker takes a connection is the kernel's choice: others answer 409.
    await until('the crash', async () => {
      const answer = await fetch(`${node.url}/v1/test/crash-worker?worker=${worker}`, {
        method: 'POST',
        headers: { connection: 'close' },
      });
      await answer.arrayBuffer();
      if (answer.status !== 202 && answer.status !== 409) throw new Error(`${answer.status}`);
      return answer.status === 202;
    });
    await until('the replacement', async () => {
      await statusOf(node, '/healthz').catch(() => 0);
      return node.logs().includes(`worker ${worker} serves again`);
    });
    await talkers.untilAcked(300);
    t.same(await talkers.check(), [], `${talkers.acked.length} acked, ${talkers.refused.length} refused`);
  }
  t.ok(talkers.reconnects > 0, `${talkers.reconnects} came back`);
  t.equal(await statusOf(node, '/readyz'), 200);
  talkers.stop();
  t.equal(await node.stop(), 0, 'the same process all the time');
  await node.remove();
});
