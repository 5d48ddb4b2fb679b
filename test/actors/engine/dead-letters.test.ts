import t from 'tap';
import { obedient, refTo, world } from './world.ts';

t.test('dead letters are reported at most once a second, with their number and a sample', async (t) => {
  const actor = obedient({ mailboxMax: 1 });
  const place = world([actor.kind]);
  const flood = (): void => {
    for (let index = 0; index < 11; index += 1) refTo(place).tell({ type: 'one' });
    if (place.clock.nowMs() < endMs) place.clock.after(100, flood);
  };
  const endMs = place.clock.nowMs() + 2500;
  flood();
  await place.clock.settle();
  t.equal(place.witness.letters.length, 0);
  await place.clock.advance(1050);
  t.same(place.witness.letters, [{ count: 100, reason: 'mailbox full', key: 'a' }]);
  await place.clock.advance(5000);
  t.ok(place.witness.letters.length <= 3);
  const reported = place.witness.letters.reduce((sum, { count }) => sum + count, 0);
  t.equal(reported, place.system.stats().deadLetters);
  t.equal(reported, 260);
});

t.test('nothing is reported when there are none, and no timer runs for them', async (t) => {
  const actor = obedient({ idleMs: 100 });
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one' });
  await place.clock.advance(5000);
  t.same(place.witness.letters, []);
  t.equal(place.clock.timers, 0);
});

t.test('a shutdown reports what is left', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one' });
  await place.system.shutdown();
  t.same(place.witness.letters, [{ count: 1, reason: 'moved', key: 'a' }]);
});
