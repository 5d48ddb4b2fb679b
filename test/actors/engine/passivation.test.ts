import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { ActorKind } from '../../../src/actors/engine/types.ts';
import { obedient, refTo, world, type World } from './world.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

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

const small: ActorKind<number> = {
  kind: 'small',
  mailboxMax: 10,
  idleMs: 1000,
  create: (context) => {
    const state = new Array<number>(32).fill(0);
    return {
      receive(message) {
        state[0] = message;
        if (message < 0) context.stop();
      },
    };
  },
};

/** Makes a hundred thousand actors; what they take of the heap, and what is left of that after `end`. */
async function heapOf(place: World, end: () => Promise<void>): Promise<{ each: number; left: number }> {
  const before = heapUsed();
  for (let index = 0; index < 100_000; index += 1) place.system.ref(small, `key ${index}`).tell(index);
  await place.clock.settle();
  const full = heapUsed();
  await end();
  const after = heapUsed();
  return { each: (full - before) / 100_000, left: (after - before) / (full - before) };
}

t.test('a hundred thousand idle actors give their memory back, a slice at a time', async (t) => {
  const place = world([small], { limits: { turnMs: 1e9 } });
  const living = (): number => place.system.stats().actors['small'] ?? 0;
  const slices: number[] = [];
  const { each, left } = await heapOf(place, async () => {
    t.equal(living(), 100_000);
    let before = living();
    while (place.clock.step(place.clock.nowMs() + 2000)) {
      slices.push(before - living());
      before = living();
    }
  });
  t.equal(living(), 0);
  t.ok(Math.max(...slices) <= 256, 'no more than a slice at once');
  t.equal(place.clock.timers, 0);
  t.ok(left < 0.1, `of ${Math.round(each)} bytes an actor ${(left * 100).toFixed(1)} % are left`);
});

t.test('actors that stop, or are stopped, give theirs back at once, not an idle time later', async (t) => {
  const place = world([small], { limits: { turnMs: 1e9 } });
  const { left } = await heapOf(place, async () => {
    for (let index = 0; index < 50_000; index += 1) place.system.ref(small, `key ${index}`).tell(-1);
    await place.clock.settle();
    t.equal(place.system.stats().actors['small'], 50_000);
    await place.system.stopKeys(() => true);
  });
  t.ok(left < 0.1, `${(left * 100).toFixed(1)} % are left`);
});
