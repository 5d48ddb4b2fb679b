import t from 'tap';
import { obedient, refTo, world } from './world.ts';

t.test('a busy actor hands over after its budget of messages', async (t) => {
  const actor = obedient({ mailboxMax: 1000 });
  const place = world([actor.kind], { limits: { turnMessages: 10 } });
  for (const key of ['busy', 'other']) refTo(place, key).tell({ type: 'make it' });
  await place.clock.settle();
  actor.handled.length = 0;
  for (let index = 0; index < 25; index += 1) refTo(place, 'busy').tell({ type: `busy ${index}` });
  refTo(place, 'other').tell({ type: 'other' });
  await place.clock.settle();
  t.equal(actor.handled.indexOf('other'), 10);
  t.equal(actor.handled.length, 26);
});

t.test('an actor that always tells itself more does not starve another, nor the clock', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  let rounds = 0;
  const again = { type: 'again', run: (): void => void forever() };
  const forever = (): boolean => {
    rounds += 1;
    if (rounds % 100 === 0) place.clock.spend(1);
    return rounds > 10_000 || refTo(place, 'busy').tell(again);
  };
  forever();
  let timerAt = 0;
  place.clock.after(1, () => {
    timerAt = rounds;
  });
  let soonAt = 0;
  place.clock.soon(() => {
    soonAt = rounds;
    refTo(place, 'other').tell({ type: 'other' });
  });
  let otherAt = 0;
  while (place.clock.step(place.clock.nowMs())) {
    if (otherAt === 0 && actor.handled.includes('other')) otherAt = rounds;
  }
  t.ok(
    soonAt > 100 && soonAt < 700,
    `what else was to run had its turn after ${soonAt} messages, about 5 ms`,
  );
  t.ok(otherAt > 0 && otherAt < 2000, `the other actor had its turn by message ${otherAt}`);
  t.ok(timerAt > 0);
});

t.test('the thread yields after its time, though there are messages left', async (t) => {
  const actor = obedient({ mailboxMax: 1000 });
  const place = world([actor.kind], { limits: { turnMs: 5 } });
  for (let index = 0; index < 300; index += 1) {
    refTo(place, `key ${index % 3}`).tell({ type: 'work', run: () => place.clock.spend(1) });
  }
  const perTurn: number[] = [];
  for (let before = 0; place.clock.step(); before = actor.handled.length) {
    perTurn.push(actor.handled.length - before);
  }
  t.equal(actor.handled.length, 300);
  t.ok(Math.max(...perTurn) <= 32, `at most two readings of the clock a turn: ${perTurn.join(' ')}`);
  t.ok(perTurn.length >= 10);
});

t.test('starting a handler that waits counts as well', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const run = (): Promise<void> => {
    place.clock.spend(1);
    return Promise.resolve();
  };
  for (let index = 0; index < 200; index += 1) refTo(place, `key ${index}`).tell({ type: 'work', run });
  place.clock.step();
  place.clock.step();
  t.ok(actor.handled.length < 40, `${actor.handled.length} in the first turns`);
  await place.clock.settle();
  t.equal(actor.handled.length, 200);
});

t.test('the run queue is scheduled once, not once a message', async (t) => {
  const actor = obedient({ mailboxMax: 1000 });
  const place = world([actor.kind]);
  let asked = 0;
  const soon = place.clock.soon.bind(place.clock);
  place.clock.soon = (callback) => {
    asked += 1;
    soon(callback);
  };
  for (let index = 0; index < 500; index += 1) refTo(place, `key ${index % 7}`).tell({ type: 'work' });
  await place.clock.settle();
  t.equal(actor.handled.length, 500);
  t.equal(asked, 1);
});

t.test('a throw out of the engine itself does not leave the other actors without turns', async (t) => {
  const actor = obedient();
  let broken = false;
  const router = {
    ownerOf: () => undefined,
    send(): boolean {
      if (broken) throw new Error('the link broke its contract');
      return true;
    },
  };
  const place = world([actor.kind], { router });
  const crash = { type: 'bad', run: () => Promise.reject(new Error('on purpose')) };
  place.system.deliver({ kind: 'obedient', key: 'a', message: crash, ask: 1 }, 'elsewhere');
  broken = true;
  const sync = {
    type: 'bad',
    run(): void {
      throw new Error('on purpose');
    },
  };
  place.system.deliver({ kind: 'obedient', key: 'b', message: sync, ask: 2 }, 'elsewhere');
  refTo(place, 'c').tell({ type: 'fine' });
  t.throws(() => {
    while (place.clock.step());
  });
  broken = false;
  await place.clock.settle();
  t.ok(actor.handled.includes('fine'));
});
