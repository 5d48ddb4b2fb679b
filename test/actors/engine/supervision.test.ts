import t from 'tap';
import { obedient, outcomeOf, refTo, world, type Obedient, type World } from './world.ts';

const crash = (): never => {
  throw new Error('on purpose');
};

t.test(
  'a crash restarts the actor after a back-off, with its mailbox, and says so before it loads',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    const ref = refTo(place);
    place.witness.onRestart = () => t.equal(actor.lives.length, 1, 'told before the new one is made');
    for (const order of [{ type: 'one' }, { type: 'bad', run: crash }, { type: 'two' }]) ref.tell(order);
    await place.clock.advance(99);
    t.same(actor.handled, ['one', 'bad']);
    ref.tell({ type: 'three' });
    await place.clock.advance(1);
    t.same(actor.handled, ['one', 'bad', 'two', 'three']);
    t.same(place.witness.restarts, ['a']);
    t.same(
      actor.lives.map(({ restarted, stops }) => ({ restarted, stops })),
      [
        { restarted: false, stops: 0 },
        { restarted: true, stops: 0 },
      ],
    );
    t.equal(place.system.stats().restarts, 1);
  },
);

t.test('a restarted actor comes back without waiting for a message', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'bad', run: crash });
  await place.clock.advance(100);
  t.equal(actor.lives.length, 2);
});

t.test(
  'the report shows the last message’s type and the state, even when the state can not be described',
  async (t) => {
    const actor = obedient();
    actor.describe = () => ({ seq: 7 });
    const place = world([actor.kind]);
    refTo(place, 'a').tell({ type: 'bad', run: crash });
    await place.clock.settle();
    actor.describe = crash;
    refTo(place, 'b').tell({ type: 'worse', run: () => Promise.reject(new Error('later')) });
    await place.clock.settle();
    t.match(place.witness.crashes, [
      { kind: 'obedient', key: 'a', lastMessage: 'bad', state: { seq: 7 }, error: { message: 'on purpose' } },
      { kind: 'obedient', key: 'b', lastMessage: 'worse', error: { message: 'later' } },
    ]);
    t.equal(place.witness.crashes[1]?.state, undefined);
  },
);

t.test(
  'the ask that crashed the actor is answered with internal, the others by the next instance',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    const bad = outcomeOf(
      refTo(place).ask({ type: 'bad', run: () => Promise.reject(new Error('secret')) }, 5000),
    );
    const good = outcomeOf(refTo(place).ask({ type: 'good', run: ({ reply }) => reply?.ok('fine') }, 5000));
    await place.clock.advance(500);
    t.equal(bad.code, 'internal');
    t.notMatch(bad.message, 'secret');
    t.equal(good.value, 'fine');
  },
);

async function crashTimes(place: World, actor: Obedient, times: number): Promise<number[]> {
  const waits: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const lives = actor.lives.length;
    refTo(place).tell({ type: 'bad', run: crash });
    await place.clock.settle();
    const start = place.clock.nowMs();
    while (actor.lives.length === lives && place.clock.step(start + 5000));
    waits.push(place.clock.nowMs() - start);
  }
  return waits;
}

t.test('the back-off doubles up to its maximum, and starts again after a quiet window', async (t) => {
  const actor = obedient();
  const place = world([actor.kind], { limits: { restartsMax: 6 } });
  refTo(place).tell({ type: 'first' });
  await place.clock.settle();
  t.same(await crashTimes(place, actor, 6), [100, 200, 400, 800, 1000, 1000]);
  await place.clock.advance(30_000);
  t.same(await crashTimes(place, actor, 1), [100]);
});

t.test(
  'one crash too many within the window stops the actor: its mailbox is refused and it is forgotten',
  async (t) => {
    const actor = obedient({ mailboxMax: 10 });
    const place = world([actor.kind], { limits: { restartsMax: 2 } });
    refTo(place).tell({ type: 'first' });
    await place.clock.settle();
    await crashTimes(place, actor, 2);
    refTo(place).tell({ type: 'bad', run: crash });
    refTo(place).tell({ type: 'told' });
    const asked = outcomeOf(refTo(place).ask({ type: 'asked' }, 1000));
    await place.clock.settle();
    t.match(place.witness.crashes.at(-1), { directive: 'stop' });
    t.equal(asked.code, 'unavailable');
    t.equal(place.system.stats().deadLetters, 1);
    t.equal(place.system.stats().actors['obedient'], 0);
    t.same(place.witness.restarts, ['a', 'a']);
    refTo(place).tell({ type: 'later' });
    await place.clock.settle();
    t.equal(actor.handled.at(-1), 'later', 'a later message makes a new one');
  },
);

t.test('a supervisor may stop an actor or escalate', async (t) => {
  const actor = obedient({
    supervise: (error) => (error instanceof RangeError ? 'escalate' : 'stop'),
  });
  const place = world([actor.kind]);
  refTo(place, 'a').tell({ type: 'bad', run: crash });
  refTo(place, 'b').tell({
    type: 'worse',
    run() {
      throw new RangeError('worse');
    },
  });
  await place.clock.advance(5000);
  t.same(
    place.witness.crashes.map(({ directive }) => directive),
    ['stop', 'escalate'],
  );
  t.match(place.witness.escalations, [{ message: 'worse' }]);
  t.same(place.witness.restarts, []);
  t.equal(place.system.stats().actors['obedient'], 0);
});

t.test('a throw while it is made, asked to passivate or cleans up is a crash as well', async (t) => {
  const unborn = obedient({ create: crash });
  const place = world([unborn.kind], { limits: { restartsMax: 1 } });
  const asked = outcomeOf(refTo(place).ask({ type: 'one' }, 5000));
  await place.clock.advance(1000);
  t.same(
    place.witness.crashes.map(({ lastMessage, directive }) => `${lastMessage} ${directive}`),
    ['(create) restart', '(create) stop'],
  );
  t.equal(asked.code, 'unavailable');

  const stubborn = obedient({ idleMs: 1000 });
  stubborn.mayPassivate = crash;
  const other = world([stubborn.kind]);
  refTo(other).tell({ type: 'one' });
  await other.clock.advance(1150);
  t.same(
    other.witness.crashes.map(({ lastMessage }) => lastMessage),
    ['(mayPassivate)'],
  );
});

t.test('an observer or a supervisor that throws does not harm the system', async (t) => {
  const actor = obedient({ supervise: crash });
  const place = world([actor.kind]);
  place.witness.onCrash = crash;
  place.witness.onRestart = crash;
  refTo(place).tell({ type: 'bad', run: crash });
  refTo(place).tell({ type: 'good' });
  await place.clock.advance(1000);
  t.same(actor.handled, ['bad', 'good']);
});
