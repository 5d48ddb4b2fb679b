import t from 'tap';
import type { ActorKind } from '../../../src/actors/engine/types.ts';
import { obedient, refTo, world } from './world.ts';

t.test('an idle actor is stopped and forgotten, and made anew by its next message', async (t) => {
  const actor = obedient({ idleMs: 1000 });
  const place = world([actor.kind]);
  const ref = refTo(place);
  ref.tell({ type: 'one' });
  await place.clock.advance(900);
  t.equal(place.system.stats().actors['obedient'], 1);
  await place.clock.advance(300);
  t.equal(place.system.stats().actors['obedient'], 0);
  t.equal(actor.lives[0]?.stops, 1);
  t.equal(place.clock.timers, 0, 'an empty system has no timer');
  ref.tell({ type: 'two' });
  await place.clock.settle();
  t.same(
    actor.lives.map(({ handled }) => handled),
    [['one'], ['two']],
  );
  t.equal(actor.lives[1]?.restarted, false);
});

t.test('messages and notices keep an actor, its own timers do not', async (t) => {
  const actor = obedient({ idleMs: 1000 });
  const place = world([actor.kind]);
  const again = (): void => {
    refTo(place, 'told').tell({ type: 'tick' });
    place.system.notify(actor.kind, 'notified', { type: 'tick' });
    place.clock.after(400, again);
  };
  refTo(place, 'notified').tell({ type: 'first' });
  refTo(place, 'timed').tell({
    type: 'first',
    run({ context }) {
      context.startTimer('t', 700, { type: 'tick' });
    },
  });
  await place.clock.settle();
  again();
  await place.clock.advance(1200);
  const living = actor.lives.filter(({ stops }) => stops === 0).map(({ key }) => key);
  t.same(living.sort(), ['notified', 'told']);
});

t.test('an actor that must stay is asked again an idle time later', async (t) => {
  const actor = obedient({ idleMs: 1000 });
  let asked = 0;
  actor.mayPassivate = () => (asked += 1) > 2;
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'one' });
  await place.clock.advance(2500);
  t.equal(asked, 2);
  t.equal(actor.lives[0]?.stops, 0);
  await place.clock.advance(1000);
  t.equal(actor.lives[0]?.stops, 1);
});

t.test(
  'an actor with a handler that takes longer than the idle time is not passivated under it',
  async (t) => {
    const actor = obedient({ idleMs: 100 });
    const place = world([actor.kind]);
    const run = (): Promise<void> => new Promise((resolve) => void place.clock.after(5000, resolve));
    refTo(place).tell({ type: 'slow', run });
    await place.clock.advance(4900);
    t.equal(actor.lives[0]?.stops, 0);
    await place.clock.advance(500);
    t.equal(actor.lives[0]?.stops, 1);
  },
);

t.test('what an actor tells itself while it is being stopped goes to its successor', async (t) => {
  const handled: string[] = [];
  let lives = 0;
  const kind: ActorKind<string> = {
    kind: 'testator',
    mailboxMax: 10,
    idleMs: 1000,
    create(context) {
      lives += 1;
      const life = lives;
      return {
        receive(message) {
          handled.push(`${life}: ${message}`);
        },
        stopped() {
          if (life === 1) context.self.tell('a will');
        },
      };
    },
  };
  const place = world([kind]);
  place.system.ref(kind, 'a').tell('hello');
  await place.clock.advance(1500);
  t.same(handled, ['1: hello', '2: a will']);
});

t.test(
  'a hundred thousand idle actors give their memory back, in slices that do not stop the thread',
  async (t) => {
    const kind: ActorKind<number> = {
      kind: 'small',
      mailboxMax: 10,
      idleMs: 1000,
      create: () => {
        const state = new Array<number>(32).fill(0);
        return {
          receive(message) {
            state[0] = message;
          },
        };
      },
    };
    const place = world([kind], { limits: { turnMs: 1e9 } });
    const heap = (): number => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    for (let index = 0; index < 100_000; index += 1) place.system.ref(kind, `key ${index}`).tell(index);
    await place.clock.settle();
    const full = heap();
    t.equal(place.system.stats().actors['small'], 100_000);
    const sizes: number[] = [];
    while (place.clock.step(place.clock.nowMs() + 2000))
      sizes.push(place.system.stats().actors['small'] ?? 0);
    const slices = sizes.map((size, index) => (sizes[index - 1] ?? 100_000) - size);
    t.equal(sizes.at(-1), 0);
    t.ok(Math.max(...slices) <= 256, 'no more than a slice at once');
    t.equal(place.clock.timers, 0);
    const after = heap();
    t.comment(
      `heap: ${Math.round((full - before) / 100_000)} bytes an actor, ${Math.round((after - before) / 1024)} KiB left`,
    );
    if (globalThis.gc !== undefined) t.ok(after - before < (full - before) / 10, 'the memory is back');
  },
);
