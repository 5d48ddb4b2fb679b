import t from 'tap';
import { caughtAt } from '../trial.ts';
import { mutations } from './mutations.ts';

t.setTimeout(280_000);

/** A mutation must be seen within so many seeds; one that does no harm must stay unseen for so many. */
const seedsMax = 300;
const harmlessSeeds = 60;

for (const mutation of mutations.filter((it) => it.protectedBy === undefined))
  t.test(`caught: ${mutation.name}`, async (t) => {
    const caught = await caughtAt(mutation, 1, seedsMax, (failures) =>
      failures.filter((failure) => mutation.shownBy?.test(failure) ?? true),
    );
    t.ok(caught, `by seed ${caught?.seed}: ${caught?.failure.split('\n')[0]}`);
  });

for (const mutation of mutations.filter((it) => it.protectedBy !== undefined))
  t.test(`harmless: ${mutation.name}, protected by ${mutation.protectedBy}`, async (t) => {
    const caught = await caughtAt(mutation, 1, harmlessSeeds);
    t.equal(caught, undefined, caught === undefined ? '' : `seed ${caught.seed}: ${caught.failure}`);
  });
