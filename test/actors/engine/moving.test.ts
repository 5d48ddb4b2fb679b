import t from 'tap';
import { gate, obedient, outcomeOf, refTo, world } from './world.ts';

t.test(
  'actors whose keys move are stopped: their mailboxes are refused, the others are left alone',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    for (const key of ['a', 'b']) refTo(place, key).tell({ type: `${key}1` });
    await place.clock.settle();
    refTo(place, 'a').tell({ type: 'a2' });
    const asked = outcomeOf(refTo(place, 'a').ask({ type: 'a3' }, 1000));
    refTo(place, 'b').tell({ type: 'b2' });
    await place.system.stopKeys((kind, key) => kind === 'obedient' && key === 'a');
    await place.clock.settle();
    t.same(actor.handled, ['a1', 'b1', 'b2']);
    t.match(asked, { code: 'unavailable', unknown: false });
    t.match(place.system.stats(), { actors: { obedient: 1 }, deadLetters: 1 });
    t.same(
      actor.lives.map(({ stops }) => stops),
      [1, 0],
    );
  },
);

t.test(
  'stopKeys waits for the handler in flight, whose answer still counts; nothing is handled after it',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    const slow = gate();
    const asked = outcomeOf(
      refTo(place).ask(
        { type: 'slow', run: ({ reply }) => slow.opened.then(() => reply?.ok('committed')) },
        5000,
      ),
    );
    refTo(place).tell({ type: 'next' });
    await place.clock.settle();
    let stopped = false;
    void place.system.stopKind('obedient').then(() => {
      stopped = true;
    });
    await place.clock.advance(1000);
    t.equal(stopped, false);
    t.equal(place.system.stats().actors['obedient'], 0);
    slow.open();
    await place.clock.settle();
    t.equal(stopped, true);
    t.equal(asked.value, 'committed');
    t.equal(actor.lives[0]?.stops, 1);
    t.same(actor.handled, ['slow']);
  },
);

t.test('a load in flight is waited for too, and its actor never handles anything', async (t) => {
  for (const good of [true, false]) {
    const actor = obedient();
    const loading = gate();
    actor.load = () => loading.opened;
    const place = world([actor.kind]);
    refTo(place).tell({ type: 'one' });
    await place.clock.settle();
    const stopping = place.system.stopKeys(() => true);
    if (good) loading.open();
    else loading.break(new Error('bad row'));
    await stopping;
    await place.clock.advance(5000);
    t.same(actor.handled, []);
    t.equal(actor.lives.length, 1);
    t.equal(actor.lives[0]?.stops, good ? 1 : 0);
  }
});

t.test('a handler that fails after its actor was stopped is reported and not restarted', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const slow = gate();
  const asked = outcomeOf(refTo(place).ask({ type: 'slow', run: () => slow.opened }, 5000));
  await place.clock.settle();
  const stopping = place.system.stopKeys(() => true);
  slow.break(new Error('too late'));
  await stopping;
  await place.clock.advance(5000);
  t.match(place.witness.crashes, [{ lastMessage: 'slow', directive: 'stop' }]);
  t.equal(asked.code, 'internal');
  t.same(place.witness.restarts, []);
});

t.test('an actor that waits for its restart is stopped as well', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const run = (): void => {
    throw new Error('on purpose');
  };
  refTo(place).tell({ type: 'bad', run });
  refTo(place).tell({ type: 'next' });
  await place.clock.settle();
  await place.system.stopKeys(() => true);
  await place.clock.advance(5000);
  t.same(actor.handled, ['bad']);
  t.same(place.witness.restarts, []);
});

t.test('a key may be stopped from within its own handler', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const run = (): void => {
    place.system.notify(actor.kind, 'a', { type: 'notice' });
    void place.system.stopKeys(() => true);
  };
  refTo(place).tell({ type: 'one', run });
  refTo(place).tell({ type: 'two' });
  await place.clock.settle();
  t.same(actor.handled, ['one']);
  t.equal(actor.lives[0]?.stops, 1);
});

t.test(
  'a key that comes back gets a new instance at once, though the old one’s handler still hangs',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    const slow = gate();
    const ref = refTo(place);
    ref.tell({ type: 'slow', run: () => slow.opened });
    await place.clock.settle();
    void place.system.stopKeys(() => true);
    ref.tell({ type: 'again' });
    await place.clock.settle();
    slow.open();
    await place.clock.settle();
    t.same(
      actor.lives.map(({ handled, stops }) => ({ handled, stops })),
      [
        { handled: ['slow'], stops: 1 },
        { handled: ['again'], stops: 0 },
      ],
    );
  },
);

t.test('a shutdown stops everything, refuses what comes and leaves no timer', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const slow = gate();
  refTo(place, 'a').tell({ type: 'slow', run: () => slow.opened });
  refTo(place, 'b').tell({
    type: 'timed',
    run: ({ context }) => context.startTimer('t', 10, { type: 'rang' }),
  });
  const open = outcomeOf(refTo(place, 'b').ask({ type: 'open' }, 5000));
  await place.clock.settle();
  void place.system.stopKeys((_kind, key) => key === 'a');
  let done = false;
  void place.system.shutdown().then(() => {
    done = true;
  });
  t.equal(refTo(place, 'c').tell({ type: 'too late' }), false);
  const refused = outcomeOf(refTo(place, 'c').ask({ type: 'too late' }, 5000));
  await place.clock.settle();
  t.equal(refused.code, 'unavailable');
  t.equal(done, false, 'also a handler that an earlier stop left in flight is waited for');
  slow.open();
  await place.clock.settle();
  t.equal(done, true);
  t.match(open, { code: 'unavailable', unknown: true }, 'it was handled, so nobody knows');
  t.equal(place.clock.timers, 0);
  t.same(actor.handled, ['slow', 'timed', 'open']);
  t.match(place.system.stats(), { actors: { obedient: 0 }, asks: 0 });
});
