import t from 'tap';
import type { Envelope } from '../../src/actors/engine/types.ts';
import { Pens } from '../../src/cluster/pens.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function pens(max: number): { clock: VirtualClock; pens: Pens; expired: unknown[] } {
  const clock = new VirtualClock();
  const expired: unknown[] = [];
  const options = { clock, max, maxMs: 1000, expired: ({ message }: Envelope) => expired.push(message) };
  return { clock, pens: new Pens(options), expired };
}

const envelope = (message: number): Envelope => ({ kind: 'session', key: 'k', message });

t.test('what is held comes out in its order, shard by shard', (t) => {
  const { pens: held } = pens(10);
  for (let n = 1; n <= 6; n += 1) t.ok(held.add(n % 2, envelope(n)));
  t.equal(held.size, 6);
  t.same(
    held.take(1).map((waiting) => waiting.envelope.message),
    [1, 3, 5],
  );
  t.same(held.take(1), []);
  t.equal(held.size, 3);
  t.end();
});

t.test('a full pen takes nothing more, and makes room as messages leave', (t) => {
  const { pens: held } = pens(2);
  t.ok(held.add(1, envelope(1)));
  t.ok(held.add(2, envelope(2)));
  t.notOk(held.add(3, envelope(3)));
  held.take(1);
  t.ok(held.add(3, envelope(3)));
  t.end();
});

t.test('nobody waits longer than the limit; going back into the pen does not begin it anew', async (t) => {
  const { clock, pens: held, expired } = pens(10);
  held.add(1, envelope(1));
  await clock.advance(600);
  const [first] = held.take(1);
  held.add(1, first!.envelope, first!.untilMs);
  held.add(1, envelope(2));
  await clock.advance(600);
  t.same(expired, [1]);
  await clock.advance(600);
  t.same(expired, [1, 2]);
  t.equal(held.size, 0);
});
