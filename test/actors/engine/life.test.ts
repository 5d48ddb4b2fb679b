import t from 'tap';
import { KefuError } from '../../../src/core/errors.ts';
import { gate, obedient, outcomeOf, refTo, world, type Hand } from './world.ts';

t.test('an actor is made by its first message, and one message after the other is handled', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const ref = refTo(place);
  await place.clock.advance(10);
  t.equal(actor.lives.length, 0, 'a ref alone makes nothing');
  for (const type of ['one', 'two', 'three']) t.equal(ref.tell({ type }), true);
  t.same(actor.handled, [], 'a tell never runs the handler within the teller');
  await place.clock.settle();
  t.same(actor.handled, ['one', 'two', 'three']);
  t.equal(actor.lives.length, 1);
});

t.test('while a handler’s promise is pending, its messages queue up and other actors go on', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const slow = gate();
  refTo(place, 'a').tell({ type: 'a1', run: () => slow.opened });
  refTo(place, 'a').tell({ type: 'a2' });
  await place.clock.settle();
  refTo(place, 'b').tell({ type: 'b1' });
  await place.clock.advance(1000);
  t.same(actor.handled, ['a1', 'b1']);
  slow.open();
  await place.clock.settle();
  t.same(actor.handled, ['a1', 'b1', 'a2']);
});

t.test('messages are stashed until the load has settled', async (t) => {
  const actor = obedient();
  const loading = gate();
  actor.load = () => loading.opened;
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one' });
  const asked = outcomeOf(refTo(place).ask({ type: 'two', run: ({ reply }) => reply?.ok(2) }, 1000));
  await place.clock.advance(500);
  t.same(actor.handled, []);
  loading.open();
  await place.clock.settle();
  t.same(actor.handled, ['one', 'two']);
  t.equal(asked.value, 2);
});

t.test('the stash is bounded by the mailbox', async (t) => {
  const actor = obedient({ mailboxMax: 2 });
  actor.load = () => gate().opened;
  const place = world([actor.kind]);
  const told = ['one', 'two', 'three'].map((type) => refTo(place).tell({ type }));
  await place.clock.settle();
  t.same(told, [true, true, false]);
});

t.test(
  'a load that finds its store unavailable refuses the stash and is no crash; the next message tries anew',
  async (t) => {
    const actor = obedient();
    actor.load = () => Promise.reject(new KefuError('unavailable', 'no database', { retryAfterMs: 700 }));
    const place = world([actor.kind]);
    const ref = refTo(place);
    ref.tell({ type: 'told' });
    const asked = outcomeOf(ref.ask({ type: 'asked' }, 1000));
    await place.clock.settle();
    t.match(asked, { code: 'unavailable', message: 'no database' });
    t.equal(place.witness.crashes.length, 0);
    t.equal(place.system.stats().actors['obedient'], 0);
    await place.clock.advance(1000);
    t.same(place.witness.letters, [{ count: 1, reason: 'unavailable', key: 'a' }]);
    actor.load = () => Promise.resolve();
    ref.tell({ type: 'again' });
    await place.clock.settle();
    t.same(actor.handled, ['again']);
    t.equal(actor.lives.length, 2);
    t.equal(actor.lives[0]?.stops, 0, 'what was never loaded has nothing to clean up');
  },
);

t.test('a load that fails otherwise is a crash, and keeps the stash', async (t) => {
  const actor = obedient();
  actor.load = () => Promise.reject(new Error('bad row'));
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one' });
  await place.clock.settle();
  t.match(place.witness.crashes, [{ lastMessage: '(load)', directive: 'restart' }]);
  actor.load = () => Promise.resolve();
  await place.clock.advance(100);
  t.same(actor.handled, ['one']);
});

t.test('stop ends the actor after the present message, and the rest goes to a new instance', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const ref = refTo(place);
  const slow = gate();
  const run = async ({ context }: Hand): Promise<void> => {
    context.stop();
    await slow.opened;
  };
  for (const order of [{ type: 'one' }, { type: 'two', run }, { type: 'three' }]) ref.tell(order);
  await place.clock.advance(50);
  t.same(actor.handled, ['one', 'two']);
  t.equal(actor.lives[0]?.stops, 0, 'the message in hand is finished first');
  slow.open();
  await place.clock.settle();
  t.same(
    actor.lives.map(({ handled, restarted, stops }) => ({ handled, restarted, stops })),
    [
      { handled: ['one', 'two'], restarted: false, stops: 1 },
      { handled: ['three'], restarted: false, stops: 0 },
    ],
  );
});

t.test('stop with nothing waiting leaves nothing behind', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one', run: ({ context }) => context.stop() });
  await place.clock.settle();
  t.equal(place.system.stats().actors['obedient'], 0);
});

t.test('stop works from outside a handler too, and a context does nothing after its end', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  let kept: Hand | undefined;
  const run = (hand: Hand): void => {
    kept = hand;
  };
  refTo(place).tell({ type: 'one', run });
  await place.clock.settle();
  kept?.context.stop();
  await place.clock.settle();
  t.equal(place.system.stats().actors['obedient'], 0);
  kept?.context.startTimer('late', 5, { type: 'late' });
  kept?.context.stop();
  refTo(place).tell({ type: 'two' });
  await place.clock.advance(50);
  t.same(
    actor.lives.at(-1)?.handled,
    ['two'],
    'neither the timer nor the stop of the old one reached the new one',
  );
  t.equal(place.system.stats().actors['obedient'], 1);
});

t.test('a timer’s message comes ahead of the mailbox, even when that is full', async (t) => {
  const actor = obedient({ mailboxMax: 3 });
  const place = world([actor.kind]);
  const ref = refTo(place);
  ref.tell({ type: 'set', run: ({ context }) => context.startTimer('t', 10, { type: 'rang' }) });
  await place.clock.settle();
  const slow = gate();
  ref.tell({ type: 'slow', run: () => slow.opened });
  await place.clock.settle();
  for (const type of ['one', 'two', 'three', 'four']) ref.tell({ type });
  await place.clock.advance(20);
  slow.open();
  await place.clock.settle();
  t.same(actor.handled, ['set', 'slow', 'rang', 'one', 'two', 'three']);
});

t.test('a timer started again replaces the first, also when that has rung but was not handled', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const ref = refTo(place);
  ref.tell({ type: 'set', run: ({ context }) => context.startTimer('t', 10, { type: 'first' }) });
  await place.clock.settle();
  const run = async ({ context }: Hand): Promise<void> => {
    await new Promise<void>((resolve) => void context.clock.after(30, resolve));
    context.startTimer('t', 10, { type: 'second' });
  };
  ref.tell({ type: 'slow', run });
  await place.clock.advance(100);
  t.same(actor.handled, ['set', 'slow', 'second']);
});

t.test('a cancelled timer, and those of an actor that stopped or crashed, never ring', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  const start = ({ context }: Hand): void => context.startTimer('t', 10, { type: 'rang' });
  const ends: ((hand: Hand) => void)[] = [
    ({ context }) => context.cancelTimer('t'),
    ({ context }) => context.stop(),
    () => {
      throw new Error('on purpose');
    },
  ];
  ends.forEach((run, index) => {
    refTo(place, `key ${index}`).tell({ type: 'set', run: start });
    refTo(place, `key ${index}`).tell({ type: 'end', run });
  });
  await place.clock.advance(1000);
  t.same([...actor.handled].sort(), ['end', 'end', 'end', 'set', 'set', 'set']);
});

t.test('a notice reaches only a living actor, ahead of its mailbox and beyond its bound', async (t) => {
  const actor = obedient({ mailboxMax: 1 });
  const place = world([actor.kind]);
  const notify = (type: string): void => place.system.notify(actor.kind, 'a', { type });
  notify('too early');
  await place.clock.settle();
  t.equal(actor.lives.length, 0, 'it makes no actor');
  refTo(place).tell({ type: 'one' });
  notify('no instance yet');
  await place.clock.settle();
  refTo(place).tell({ type: 'two' });
  notify('notice 1');
  notify('notice 2');
  await place.clock.settle();
  t.same(actor.handled, ['one', 'notice 1', 'notice 2', 'two']);
  t.equal(place.system.stats().deadLetters, 0);
});

t.test('a notice waits while the actor loads, and is dropped while it is crashed', async (t) => {
  const actor = obedient();
  const loading = gate();
  actor.load = () => loading.opened;
  const place = world([actor.kind]);
  const notify = (type: string): void => place.system.notify(actor.kind, 'a', { type });
  const crash = (): void => {
    throw new Error('on purpose');
  };
  refTo(place).tell({ type: 'crash', run: crash });
  await place.clock.settle();
  notify('while loading');
  loading.open();
  await place.clock.settle();
  notify('while crashed');
  await place.clock.advance(1000);
  notify('after the restart');
  await place.clock.settle();
  t.same(actor.handled, ['while loading', 'crash', 'after the restart']);
});
