import t from 'tap';
import { refusal } from '../../../src/core/errors.ts';
import type { Reply } from '../../../src/actors/engine/types.ts';
import { obedient, outcomeOf, refTo, world, type Hand } from './world.ts';

t.test(
  'an ask is answered with a value or a refusal, and only the first use of the reply counts',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    const both = ({ reply }: Hand): void => {
      reply?.ok('first');
      reply?.fail(refusal('conflict', 'second'));
      reply?.ok('third');
    };
    const ok = outcomeOf(refTo(place).ask({ type: 'both', run: both }, 1000));
    const run = ({ reply }: Hand): void => reply?.fail(refusal('not_found', 'no such thing'));
    const no = outcomeOf(refTo(place).ask({ type: 'no', run }, 1000));
    await place.clock.settle();
    t.match(ok, { code: 'ok', value: 'first' });
    t.match(no, { code: 'not_found', message: 'no such thing' });
    t.equal(place.system.stats().answersLate, 0);
    t.equal(place.system.stats().asks, 0);
  },
);

t.test('a tell has no reply', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  refTo(place).tell({ type: 'told', run: ({ reply }) => void t.equal(reply, undefined) });
  await place.clock.settle();
  t.same(actor.handled, ['told']);
});

t.test('a reply may be kept, and used after other messages', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  let kept: Reply | undefined;
  const keep = ({ reply }: Hand): void => {
    kept = reply;
  };
  const asked = outcomeOf(refTo(place).ask({ type: 'keep', run: keep }, 1000));
  refTo(place).tell({ type: 'next' });
  await place.clock.advance(500);
  t.equal(asked.code, 'open');
  kept?.ok(7);
  await place.clock.settle();
  t.equal(asked.value, 7);
});

t.test(
  'an ask fails at its deadline, not before and little after, and a late answer is counted and dropped',
  async (t) => {
    const actor = obedient();
    const place = world([actor.kind]);
    let kept: Reply | undefined;
    const keep = ({ reply }: Hand): void => {
      kept = reply;
    };
    const asked = outcomeOf(refTo(place).ask({ type: 'keep', run: keep }, 1000));
    await place.clock.advance(999);
    t.equal(asked.code, 'open');
    await place.clock.advance(21);
    t.match(asked, { code: 'unavailable', unknown: true });
    kept?.ok(1);
    kept?.ok(2);
    await place.clock.settle();
    t.equal(asked.value, undefined);
    t.match(place.system.stats(), { answersLate: 1, asks: 0 });
    t.equal(place.clock.timers, 1, 'only the look at idle actors is left');
  },
);

t.test('a full mailbox answers busy to an ask, and false and a dead letter to a tell', async (t) => {
  const actor = obedient({ mailboxMax: 2 });
  const place = world([actor.kind]);
  const ref = refTo(place);
  t.equal(ref.tell({ type: 'one' }), true);
  t.equal(ref.tell({ type: 'two' }), true);
  t.equal(ref.tell({ type: 'three' }), false);
  const asked = outcomeOf(ref.ask({ type: 'four' }, 1000));
  t.match(place.system.stats(), { mailboxDepthMax: 2, mailboxDepthTotal: 2, deadLetters: 1 });
  await place.clock.settle();
  t.match(asked, { code: 'busy', unknown: false });
  t.same(actor.handled, ['one', 'two']);
  t.match(place.system.stats(), { mailboxDepthMax: 0, mailboxDepthTotal: 0, deadLetters: 1 });
});

t.test('the asks of a thread are bounded', async (t) => {
  const actor = obedient();
  const place = world([actor.kind], { limits: { asksMax: 2 } });
  const asked = [1, 2, 3].map((n) => outcomeOf(refTo(place).ask({ type: `${n}` }, 1000)));
  await place.clock.settle();
  t.same(
    asked.map(({ code }) => code),
    ['open', 'open', 'busy'],
  );
  await place.clock.advance(1100);
  t.equal(outcomeOf(refTo(place).ask({ type: '4' }, 1000)).code, 'open');
  t.equal(place.system.stats().asks, 1);
});

t.test('an ask without a deadline, or to a kind that nobody makes, is a bug', async (t) => {
  const actor = obedient();
  const place = world([actor.kind]);
  await t.rejects(refTo(place).ask({ type: 'one' }, Number.NaN), { name: 'BugError' });
  await t.rejects(place.system.ref({ kind: 'unheard of' }, 'a').ask('one', 10), { name: 'BugError' });
  t.throws(() => place.system.ref({ kind: 'unheard of' }, 'a').tell('one'), { name: 'BugError' });
  t.equal(place.system.stats().asks, 0);
});
