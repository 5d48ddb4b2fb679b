import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ObjectsLocation } from '../../src/core/objects-url.ts';
import type { Step } from '../../src/store/archiver.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { bucket, S3Server } from '../support/s3.ts';
import { SimChance } from '../sim/chance.ts';
import { OldShop } from './old-shop.ts';

/** Kills by chance; more of them take longer. */
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 3);
const seed = Number(process.env['CRASH_SEED'] ?? Date.now() % 1e9);
t.setTimeout(150_000 + rounds * 20_000);
let pg: TestPostgres;
t.before(async () => {
  pg = await startPostgres();
});
t.teardown(() => pg.stop());

const archiving: readonly (readonly [step: Step, count: number])[] = [
  ['begun', 1],
  ['built', 1],
  ['written', 1],
  ['verified', 1],
  ['ready', 1],
  ['moved', 1],
  ['begun', 2],
  ['moved', 2],
];
/** With S3 there are the requests, too: its own steps are fewer. */
const stepsOf = {
  'a folder': new Set<Step>(['begun', 'built', 'written', 'verified', 'ready', 'moved']),
  S3: new Set<Step>(['written', 'ready']),
};
const compacting: readonly Step[] = ['built', 'written', 'verified', 'ready'];

/** All chores in peace; then nothing may be left that should not be. */
async function settle(t: Test, shop: OldShop): Promise<void> {
  const { code, said } = await shop.run(['erase', 'archive', 'compact', 'merge', 'sweep']);
  t.equal(code, 0, said);
  t.same(await shop.problems(), [], `seed ${seed}`);
  t.same(await shop.leftovers(), [], `seed ${seed}`);
}

for (const kind of ['a folder', 'S3'] as const)
  t.test(
    `${kind}: an archiver that is killed at any step has lost nothing and shows nothing twice`,
    async (t) => {
      const s3 = kind === 'S3' ? await S3Server.start(t.testdir()) : undefined;
      t.teardown(() => s3?.stop());
      const objects: ObjectsLocation =
        s3 === undefined
          ? { kind: 'file', directory: join(t.testdir(), 'objects') }
          : { kind: 's3', bucket, prefix: 'crash/', endpoint: s3.endpoint, pathStyle: true };
      const steps = stepsOf[kind];
      const chance = new SimChance(seed);
      const shop = await OldShop.open(pg, objects, chance);
      const reader = shop.watch();
      for (const [step, count] of archiving.filter(([step]) => steps.has(step))) {
        await shop.add(40);
        const { signal, said } = await shop.run(['archive'], { step, count });
        t.equal(signal, 'SIGKILL', `dies at ${step} ${count}${said}`);
        t.same(await shop.problems(), [], `after ${step} ${count}, seed ${seed}`);
      }
      await settle(t, shop);
      for (const step of compacting.filter((one) => steps.has(one))) {
        await shop.doom(30);
        t.equal((await shop.run(['erase'])).code, 0);
        const { signal, said } = await shop.run(['compact'], { step, count: 1 });
        t.equal(signal, 'SIGKILL', `dies while compacting at ${step}${said}`);
        t.same(await shop.problems(), [], `compacting, after ${step}, seed ${seed}`);
      }
      await settle(t, shop);

      // A segment for each few, and then one of all.
      for (let n = 0; n < 3; n += 1) {
        await shop.add(4);
        t.equal((await shop.run(['archive'])).code, 0);
      }
      for (const step of ['written', 'ready'] as const) {
        const { signal, said } = await shop.run(['merge'], { step, count: 1 });
        t.equal(signal, 'SIGKILL', `dies while merging at ${step}${said}`);
        t.same(await shop.problems(), [], `merging, after ${step}, seed ${seed}`);
      }
      await settle(t, shop);

      // At the very moment that the store has a request, which goes on without who sent it.
      for (const method of s3 === undefined ? [] : ['PUT', 'GET', 'DELETE']) {
        await shop.add(30);
        await shop.doom(10);
        const { child, ended } = await shop.start(['erase', 'archive', 'compact']);
        s3!.plan((asked) => {
          if (asked.method === method && asked.path.includes('/archive/')) child.kill('SIGKILL');
          return undefined;
        });
        // The reader asks too, and may come first.
        t.equal((await ended).signal, 'SIGKILL', `killed at ${method}`);
        s3!.plan();
        t.same(await shop.problems(), [], `after ${method}, seed ${seed}`);
      }

      for (let round = 0; round < rounds; round += 1) {
        await shop.add(60);
        await shop.doom(60);
        const { child, begun, ended } = await shop.start(['erase', 'archive', 'compact', 'merge', 'sweep']);
        await begun;
        const afterMs = 250 * chance.next();
        setTimeout(() => child.kill('SIGKILL'), afterMs);
        await ended;
        t.same(await shop.problems(), [], `round ${round}, ${Math.round(afterMs)} ms, seed ${seed}`);
      }
      await settle(t, shop);
      await reader.stop();
      t.same(shop.faults, [], `${shop.reads} reads meanwhile`);
      t.ok(shop.reads > 100, `${shop.reads} reads`);
    },
  );
