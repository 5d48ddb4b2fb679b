import t, { type Test } from 'tap';
import { Faults, recoveryText, type Recovery } from './faults.ts';
import { Stage } from './stage.ts';
import { World } from './world.ts';

t.setTimeout(240_000);

const suspectMs = 1000;
/** Noticing, taking over, and a client's own wait for the answer that it does not get. */
const takeOverMaxMs = 3 * suspectMs + 3000;

t.test('nodes that are killed, stand still, are replaced and added', async (t) => {
  const stage = await Stage.start({ suspectMs, ttlMs: 5000, natsServers: 1 });
  const world = await World.start(stage, { seed: 1 });
  const faults = new Faults(stage, world);

  const after = async (t: Test, recovery: Recovery): Promise<void> => {
    t.comment(`${recoveryText(recovery)}; ${world.latencies()}`);
    t.same(await world.check(), []);
  };

  await t.test('the sessions of a node that is killed answer again', async (t) => {
    const recovery = await faults.killNode(2);
    t.ok(recovery.duringMs! < takeOverMaxMs, `${recovery.duringMs} ms`);
    await after(t, recovery);
  });

  await t.test(
    'a node that stood still for longer than its lease does no harm when it goes on',
    async (t) => {
      const recovery = await faults.pauseNode(0);
      t.ok(recovery.duringMs! < takeOverMaxMs, `${recovery.duringMs} ms`);
      await after(t, recovery);
    },
  );

  await t.test('all nodes are restarted one after the other, and nobody notices much', async (t) => {
    const recovery = await faults.rollingRestart();
    t.ok(recovery.silenceMs < takeOverMaxMs, `${recovery.silenceMs} ms`);
    await after(t, recovery);
  });

  await t.test('a node is added under load, and another is killed while the shards move', async (t) => {
    const adding = faults.addNode(3);
    await after(t, await adding);
    await after(t, await faults.killNode(1));
  });

  t.comment(`everybody has an agent ${await world.served(60_000)} ms later`);
  t.same(await world.finish(), [], `${world.ledger.acks} acks in ${world.ledger.books.size} sessions`);
  await stage.stop();
});
