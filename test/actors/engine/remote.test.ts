import fc from 'fast-check';
import t from 'tap';
import type { ActorKind } from '../../../src/actors/engine/types.ts';
import { refusal } from '../../../src/core/errors.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';
import { Network, outcomeOf, type Outcome } from './world.ts';

interface Sum {
  readonly type: 'add' | 'sum' | 'refuse' | 'crash' | 'never';
  readonly n: number;
}

/** Plain messages, for they are cloned on the way: adds numbers, and remembers their order. */
function summer(mailboxMax = 1000): { kind: ActorKind<Sum>; seen: number[] } {
  const seen: number[] = [];
  const kind: ActorKind<Sum> = {
    kind: 'summer',
    mailboxMax,
    idleMs: 60_000,
    create() {
      let total = 0;
      return {
        receive({ type, n }, reply) {
          seen.push(n);
          total += n;
          if (type === 'crash') throw new Error('on purpose');
          if (type === 'refuse') reply?.fail(refusal('forbidden', 'not for you', 50));
          if (type === 'sum') reply?.ok({ total });
        },
      };
    },
  };
  return { kind, seen };
}

function pair(mailboxMax?: number) {
  const clock = new VirtualClock();
  const network = new Network(clock);
  const there = summer(mailboxMax);
  const one = network.add('one', [summer().kind]);
  const two = network.add('two', [there.kind]);
  return { clock, network, one, two, seen: there.seen, ref: one.system.ref(there.kind, 'two:x') };
}

t.test('tells and asks reach the thread that owns the key, in order, and answers come back', async (t) => {
  const { clock, ref, seen, one, two } = pair();
  for (let n = 1; n <= 5; n += 1) t.equal(ref.tell({ type: 'add', n }), true);
  const asked = outcomeOf(ref.ask({ type: 'sum', n: 6 }, 1000));
  await clock.advance(10);
  t.same(seen, [1, 2, 3, 4, 5, 6]);
  t.same(asked.value, { total: 21 });
  t.equal(one.system.stats().actors['summer'], 0);
  t.equal(two.system.stats().actors['summer'], 1);
  t.equal(one.system.stats().asks, 0);
});

t.test('refusals travel back as they are: the actor’s own, a crash, a full mailbox', async (t) => {
  const { clock, ref, two } = pair(2);
  const refused = ref.ask({ type: 'refuse', n: 1 }, 1000);
  const crashed = outcomeOf(ref.ask({ type: 'crash', n: 2 }, 1000));
  for (const n of [3, 4]) ref.tell({ type: 'add', n });
  const busy = outcomeOf(ref.ask({ type: 'sum', n: 5 }, 1000));
  ref.tell({ type: 'add', n: 6 });
  const rejected = t.rejects(refused, { code: 'forbidden', message: 'not for you', retryAfterMs: 50 });
  await clock.advance(10);
  await rejected;
  t.equal(crashed.code, 'internal');
  t.equal(busy.code, 'busy');
  t.equal(two.system.stats().deadLetters, 1);
});

t.test('a link that takes nothing: a tell is refused and dead, an ask fails at once', async (t) => {
  const { clock, network, ref, one } = pair();
  network.takes = () => false;
  t.equal(ref.tell({ type: 'add', n: 1 }), false);
  const asked = outcomeOf(ref.ask({ type: 'sum', n: 2 }, 1000));
  await clock.settle();
  t.match(asked, { code: 'unavailable', unknown: false });
  t.match(one.system.stats(), { asks: 0, deadLetters: 1 });
});

t.test('what is lost on the way ends at the deadline, and an answer after it is counted', async (t) => {
  const { clock, network, ref, one } = pair();
  network.loses = (_to, envelope) => envelope.answer !== undefined;
  const lost = outcomeOf(ref.ask({ type: 'sum', n: 1 }, 100));
  await clock.advance(90);
  t.equal(lost.code, 'open');
  await clock.advance(40);
  t.equal(lost.code, 'unavailable');
  network.loses = () => false;
  network.latencyMs = 200;
  const late = outcomeOf(ref.ask({ type: 'sum', n: 2 }, 100));
  await clock.advance(1000);
  t.equal(late.code, 'unavailable');
  t.equal(one.system.stats().answersLate, 1);
});

t.test('asks to a lost thread fail at once, the others wait on', async (t) => {
  const { clock, network, one, ref } = pair();
  network.add('three', [summer().kind]);
  const two = outcomeOf(ref.ask({ type: 'never', n: 1 }, 5000));
  const three = outcomeOf(
    one.system.ref<Sum>({ kind: 'summer' }, 'three:y').ask({ type: 'never', n: 1 }, 5000),
  );
  const own = outcomeOf(one.system.ref<Sum>({ kind: 'summer' }, 'one:z').ask({ type: 'never', n: 1 }, 5000));
  await clock.advance(100);
  one.system.threadLost('two');
  await clock.settle();
  t.equal(two.unknown, true);
  t.same(
    [two, three, own].map(({ code }) => code),
    ['unavailable', 'open', 'open'],
  );
});

t.test(
  'a message for a key that is owned elsewhere by now goes on to its owner, and its answer to who asked',
  async (t) => {
    const { clock, network, ref, one, two, seen } = pair();
    const told = ref.tell({ type: 'add', n: 1 });
    const asked = outcomeOf(ref.ask({ type: 'sum', n: 2 }, 1000));
    network.ownerOf = () => 'one';
    await clock.advance(10);
    t.equal(told, true);
    t.equal(asked.code, 'ok');
    t.same(seen, [], 'not handled where it came first');
    t.equal(two.system.forwarded, 2);
    t.equal(one.system.stats().deadLetters, 0);
  },
);

t.test('what nobody can handle is refused: an unknown kind, an envelope without an address', async (t) => {
  const { clock, one, two } = pair();
  const asked = outcomeOf(one.system.ref<string>({ kind: 'unheard of' }, 'two:x').ask('hello', 1000));
  await clock.advance(10);
  t.equal(asked.code, 'unavailable');
  two.system.deliver({ message: 'hello' }, 'one');
  t.equal(two.system.stats().deadLetters, 1);
});

t.test('a message that only a newer version knows is refused, and does not reach the actor', async (t) => {
  const { clock, network, one } = pair();
  const { kind, seen } = summer();
  const older = network.add('older', [{ ...kind, knows: ({ type }: Sum) => type === 'sum' }]);
  const ref = one.system.ref<Sum>({ kind: 'summer' }, 'older:x');
  const asked = outcomeOf(ref.ask({ type: 'never', n: 1 }, 1000));
  ref.tell({ type: 'add', n: 1 });
  const known = outcomeOf(ref.ask({ type: 'sum', n: 2 }, 1000));
  await clock.advance(10);
  t.equal(asked.code, 'unavailable');
  t.equal(known.code, 'ok');
  t.same(seen, [2]);
  t.equal(older.system.stats().deadLetters, 1);
});

t.test('an answer to the thread’s predecessor does not settle an ask of its successor', async (t) => {
  const { clock, network, ref, seen } = pair();
  network.latencyMs = 50;
  const before = outcomeOf(ref.ask({ type: 'sum', n: 1 }, 5000));
  await clock.advance(60);
  t.same(seen, [1], 'the answer is on its way');
  const successor = network.add('one', [summer().kind]);
  const after = outcomeOf(
    successor.system.ref<Sum>({ kind: 'summer' }, 'two:x').ask({ type: 'sum', n: 2 }, 5000),
  );
  await clock.advance(60);
  t.equal(after.code, 'open');
  await clock.advance(60);
  t.same(after.value, { total: 3 });
  t.equal(before.code, 'open');
});

t.test(
  'over a link that loses: each ask settles once, with its own answer or at its deadline, and order holds',
  async () => {
    const steps = fc.array(
      fc.record({
        ask: fc.boolean(),
        taken: fc.nat(9),
        lost: fc.nat(9),
        wait: fc.nat(3),
        thread: fc.boolean(),
      }),
      { maxLength: 80, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 40 }), async (plans, latencyMs) => {
        const { clock, network, one, ref, seen } = pair(8);
        network.latencyMs = latencyMs;
        const asked: { n: number; outcome: Outcome }[] = [];
        let n = 0;
        for (const plan of plans) {
          network.takes = () => plan.taken > 0;
          network.loses = () => plan.lost < 2;
          n += 1;
          if (plan.ask) asked.push({ n, outcome: outcomeOf(ref.ask({ type: 'sum', n }, 60)) });
          else ref.tell({ type: 'add', n });
          if (plan.thread && plan.wait === 3) one.system.threadLost('two');
          await clock.advance(plan.wait * 5);
        }
        await clock.advance(1000);
        if (seen.some((each, index) => index > 0 && each <= seen[index - 1]!))
          throw new Error('out of order');
        for (const { n: number, outcome } of asked) {
          if (outcome.code === 'ok') {
            const upTo = seen.slice(0, seen.indexOf(number) + 1).reduce((sum, each) => sum + each, 0);
            const { total } = outcome.value as { total: number };
            if (total !== upTo) throw new Error('another one’s answer');
          } else if (outcome.code !== 'unavailable' && outcome.code !== 'busy') {
            throw new Error(`settled with ${outcome.code}`);
          }
        }
        if (one.system.stats().asks !== 0) throw new Error('an ask was left behind');
      }),
      { numRuns: 300 },
    );
  },
);
