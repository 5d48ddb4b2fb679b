import t from 'tap';
import { startNode } from '../support/node.ts';
import { Talkers } from './talkers.ts';
import { crashEnv } from './world.ts';

const rounds = Number(process.env['CRASH_ROUNDS'] ?? 4);
t.setTimeout(120_000 + rounds * 20_000);

t.test('a node that is killed under load has lost nothing that it acked, again and again', async (t) => {
  let node = await startNode({ env: crashEnv });
  const { dataDir, port } = node;
  const talkers = await Talkers.start(node, 8);
  for (let round = 0; round < rounds; round += 1) {
    await talkers.untilAcked(300 + ((round * 137) % 500));
    talkers.down();
    await node.kill();
    const before = talkers.reconnects;
    node = await startNode({ env: crashEnv, dataDir, port });
    talkers.up(node);
    await talkers.untilAcked(200);
    t.equal(talkers.reconnects - before, 9, 'everybody came back and resumed');
    t.same(await talkers.check(), [], `round ${round}: ${talkers.acked.length} acked`);
  }
  t.same(talkers.refused, []);
  talkers.stop();
  await node.remove();
});
