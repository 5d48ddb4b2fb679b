import t from 'tap';
import { SeededChance } from '../../src/stress/chance.ts';
import { conversation, lengthOf, paceOf, turnsMean } from '../../src/stress/plan.ts';
import { arrivals, phasesOf, surgeAt, type Shape } from '../../src/stress/schedule.ts';

const steady: Shape = {
  profile: 'steady',
  customers: 1000,
  warmupMs: 10_000,
  durationMs: 600_000,
  lengthMs: 50_000,
};

const all = (shape: Shape, seed: number, share = 1): number[] => [
  ...arrivals(shape, share, new SeededChance(seed, 'test')),
];

t.test('the same seed makes the same arrivals, another one others', async (t) => {
  t.strictSame(all(steady, 1), all(steady, 1));
  t.not(all(steady, 1)[0], all(steady, 2)[0]);
});

t.test('arrivals are a Poisson process of the rate by Little’s law', async (t) => {
  const after = all(steady, 7).filter((ms) => ms >= steady.warmupMs);
  const expected = (steady.customers / steady.lengthMs) * steady.durationMs;
  t.ok(Math.abs(after.length - expected) < 5 * Math.sqrt(expected), `${after.length} for ${expected}`);
  t.ok(after.every((ms, index) => index === 0 || ms >= after[index - 1]!));
  t.ok(after.at(-1)! < steady.warmupMs + steady.durationMs);
  // Of a Poisson process the times between have a deviation as large as their mean.
  const gaps = after.slice(1).map((ms, index) => ms - after[index]!);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
  t.ok(Math.abs(deviation / mean - 1) < 0.05, `deviation ${deviation} of mean ${mean}`);
});

t.test('the warm-up brings those who would have been there', async (t) => {
  const early = all(steady, 3).filter((ms) => ms < steady.warmupMs);
  const expected = steady.customers + (steady.customers / steady.lengthMs) * (steady.warmupMs / 2);
  t.ok(Math.abs(early.length - expected) < 5 * Math.sqrt(expected), `${early.length} for ${expected}`);
});

t.test('generators that share the load make it together', async (t) => {
  const parts = [0, 1, 2].map((index) => all(steady, index, 1 / 3).length);
  const [expected, sum] = [all(steady, 9).length, parts.reduce((a, b) => a + b, 0)];
  t.ok(Math.abs(sum - expected) < 8 * Math.sqrt(expected), `${sum} for ${expected}`);
});

t.test('a surge is ten times the arrivals within a minute, and goes', async (t) => {
  const shape: Shape = { ...steady, profile: 'surge' };
  const { fromMs, toMs } = phasesOf(shape)[1]!;
  t.equal(surgeAt(shape, fromMs - 1), 1);
  t.equal(surgeAt(shape, fromMs + 60_000), 10);
  t.equal(surgeAt(shape, toMs), 1);
  const arrived = all(shape, 5);
  const within = (from: number, to: number): number =>
    arrived.filter((ms) => ms >= from && ms < to).length / (to - from);
  const times = within(fromMs + 60_000, toMs) / within(shape.warmupMs, fromMs);
  t.ok(times > 9 && times < 11, `${times} times`);
});

t.test('phases begin and end at whole seconds and leave nothing out', async (t) => {
  for (const profile of ['steady', 'surge', 'storm', 'reconnect'] as const)
    for (const durationMs of [3000, 10_000, 61_000]) {
      const phases = phasesOf({ ...steady, profile, durationMs });
      t.equal(phases[0]!.fromMs, steady.warmupMs);
      t.equal(phases.at(-1)!.toMs, steady.warmupMs + durationMs);
      for (const [index, { fromMs, toMs }] of phases.entries()) {
        t.ok(toMs > fromMs && fromMs % 1000 === 0);
        if (index > 0) t.equal(fromMs, phases[index - 1]!.toMs);
      }
    }
});

t.test('conversations make as many messages, and last as long, as was asked for', async (t) => {
  const pace = paceOf(2000, 1000);
  const chance = new SeededChance(11, 'plans');
  const many = Array.from({ length: 20_000 }, () => conversation(chance, pace));
  const mean = (of: (index: number) => number): number =>
    many.reduce((sum, _, index) => sum + of(index), 0) / many.length;
  const turns = mean((index) => many[index]!.turns.length);
  const length = mean((index) => many[index]!.closeAfterMs);
  t.ok(Math.abs(turns / turnsMean - 1) < 0.03, `${turns} turns`);
  t.ok(Math.abs(length / lengthOf(pace.thinkMs) - 1) < 0.03, `${length} ms`);
  // Each message of a customer has an answer.
  const perSecond = ((2000 / length) * turns * 2 * 1000) / 1000;
  t.ok(Math.abs(perSecond / 1 - 1) < 0.05, `${perSecond} thousand a second`);
  for (const { turns, closeAfterMs } of many.slice(0, 500)) {
    const times = [...turns.map(({ afterMs }) => afterMs), closeAfterMs];
    t.ok(times.every((ms, index) => ms > (times[index - 1] ?? 0)));
  }
});
