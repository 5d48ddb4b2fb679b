import fc from 'fast-check';
import t from 'tap';
import { Deadlines } from '../../../src/actors/engine/deadlines.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

interface Item {
  dueTick: number;
  readonly dueMs: number;
}

t.test(
  'a deadline fires once, never early and at most a tick late, and not when it was removed',
  async () => {
    const items = fc.array(
      fc.record({ setAt: fc.nat(500), delay: fc.nat(3000), removeAt: fc.option(fc.nat(3500)) }),
      {
        maxLength: 60,
      },
    );
    await fc.assert(
      fc.asyncProperty(items, fc.constantFrom(1, 20, 100), async (plans, tickMs) => {
        const clock = new VirtualClock();
        const startMs = clock.nowMs();
        const fired = new Map<Item, number>();
        const deadlines = new Deadlines<Item>(clock, tickMs, 1000, (item) => {
          if (fired.has(item)) throw new Error('fired twice');
          fired.set(item, clock.nowMs());
        });
        const set = plans.map(({ setAt, delay, removeAt }) => {
          const item: Item = { dueTick: 0, dueMs: startMs + setAt + delay };
          clock.after(setAt, () => deadlines.add(item, item.dueMs));
          if (removeAt !== null && removeAt > setAt) clock.after(removeAt, () => deadlines.remove(item));
          return { item, removedMs: removeAt !== null && removeAt > setAt ? startMs + removeAt : Infinity };
        });
        await clock.advance(5000);
        for (const { item, removedMs } of set) {
          const at = fired.get(item);
          if (at === undefined) {
            if (removedMs > item.dueMs + tickMs) throw new Error('never fired');
          } else if (at < item.dueMs || at > item.dueMs + tickMs || at > removedMs) {
            throw new Error(`due at ${item.dueMs}, removed at ${removedMs}, fired at ${at}`);
          }
        }
        if (clock.timers !== 0) throw new Error('a timer was left behind');
      }),
      { numRuns: 60 },
    );
  },
);

t.test('many deadlines use one timer of the clock, and those that were removed none', async (t) => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines<Item>(clock, 20, 10, () => undefined);
  const items = Array.from({ length: 1000 }, (_, index) => ({ dueTick: 0, dueMs: clock.nowMs() + index }));
  for (const item of items) deadlines.add(item, item.dueMs);
  t.equal(clock.timers, 1);
  for (const item of items) deadlines.remove(item);
  await clock.advance(20);
  t.equal(clock.timers, 0);
});

t.test('a crowd that falls due together is handled in slices', async (t) => {
  const clock = new VirtualClock();
  let fired = 0;
  const deadlines = new Deadlines<Item>(clock, 20, 10, () => {
    fired += 1;
  });
  for (let index = 0; index < 35; index += 1) deadlines.add({ dueTick: 0, dueMs: 0 }, clock.nowMs() + 20);
  const slices: number[] = [];
  while (clock.step(clock.nowMs() + 100)) slices.push(fired);
  t.same(slices, [10, 20, 30, 35]);
});
