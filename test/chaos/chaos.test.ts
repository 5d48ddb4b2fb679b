import t from 'tap';
import { Faults, recoveryText, type Recovery } from './faults.ts';
import { Stage } from './stage.ts';
import { World } from './world.ts';

t.setTimeout(240_000);

const suspectMs = 1000;
/** Noticing, taking over, and a client's own waits for answers that it does not get; generous, the machine is shared. */
const takeOverMaxMs = 25_000;

t.test('real nodes, NATS servers and PostgreSQL under faults keep what they promised', async (t) => {
  const stage = await Stage.start({ suspectMs, ttlMs: 5000, natsServers: 3, gates: true });
  const world = await World.start(stage, { seed: 1 });
  const faults = new Faults(stage, world);

  const happens = (name: string, run: () => Promise<Recovery>): Promise<unknown> =>
    t.test(name, async (t) => {
      const recovery = await run();
      t.comment(`${recoveryText(recovery)}; ${world.latencies()}`);
      for (const story of world.stories()) t.comment(story);
      for (const ms of recovery.duringMs ?? []) t.ok(ms < takeOverMaxMs, `${ms} ms`);
      t.same(await world.check(), []);
    });

  await happens('the sessions of a node that is killed answer again', () => faults.killNode(2));
  await happens('a node that stood still for longer than its lease does no harm when it goes on', () =>
    faults.pauseNode(0),
  );
  await happens('PostgreSQL is killed, and all recovers by itself', () => faults.endPostgres('SIGKILL'));
  await happens('the leader of the leases’ log is killed', () => faults.killNatsLeader());
  await happens('a node that hears NATS no more is taken over', () => faults.cutNats(1, 'noAnswers'));
  await happens('all nodes are restarted one after the other', () => faults.rollingRestart());

  t.comment(`everybody has an agent ${await world.served(60_000)} ms later`);
  t.same(await world.finish(), [], `${world.ledger.acks} acks in ${world.ledger.books.size} sessions`);
  await stage.stop();
});
