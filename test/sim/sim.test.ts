import fc from 'fast-check';
import t from 'tap';
import { faultKinds, faultText, type Fault } from './faults.ts';
import { runScenario, scenarioOf, type Outcome, type Scenario } from './scenario.ts';
import { simulated } from './time.ts';

t.setTimeout(280_000);

const runs = 1_000;
/** The same scenarios in every run of the tests; others by SIM_SEED, or by the thousand with `npm run sim -- --minutes M`. */
const seed = Number(process.env['SIM_SEED'] ?? 20_261_121);

const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom(...faultKinds),
  atMs: fc.integer({ min: 0, max: 10_000 }),
  node: fc.nat(4),
  other: fc.nat(4),
  forMs: fc.integer({ min: 1, max: 8_000 }),
});

function command({ seed, faults }: Scenario): string {
  return `npm run sim -- --seed ${seed} --faults '${faults.map(faultText).join()}'`;
}

t.test(
  'whatever happens, nothing acknowledged is lost, and all is well soon after',
  { timeout: 280_000 },
  async (t) => {
    const startMs = performance.now();
    let virtualMs = 0;
    let acks = 0;
    let count = 0;
    const schedules = fc.record({ seed: fc.nat(2 ** 31 - 1), faults: fc.array(fault, { maxLength: 6 }) });
    await fc.assert(
      fc.asyncProperty(schedules, async ({ seed, faults }) => {
        const scenario = { ...scenarioOf(seed), faults };
        const outcome: Outcome = await simulated(() => runScenario(scenario));
        count += 1;
        virtualMs += outcome.virtualMs;
        acks += outcome.acks;
        const { failures } = outcome;
        if (failures.length > 0) throw new Error(`${failures.join('\n')}\n${command(scenario)}`);
      }),
      { numRuns: runs, seed, interruptAfterTimeLimit: 150_000, markInterruptAsFailure: false },
    );
    const minutes = (performance.now() - startMs) / 60_000;
    t.comment(
      `${(count / minutes).toFixed(0)} scenarios a minute, ${(virtualMs / count / 1000).toFixed(1)} virtual seconds each`,
    );
    t.ok(acks > 10 * count, `${acks} acknowledged messages in ${count} scenarios`);
  },
);

t.test('a seed is a run: the same one twice is the same to the last step', async (t) => {
  for (const seed of [7, 1_000_003, 42_424_242]) {
    const first = await simulated(() => runScenario(scenarioOf(seed)));
    const second = await simulated(() => runScenario(scenarioOf(seed)));
    t.equal(second.hash, first.hash, `seed ${seed}`);
    t.equal(second.steps, first.steps);
    const other = await simulated(() => runScenario(scenarioOf(seed + 1)));
    t.not(other.hash, first.hash);
  }
});

t.test('without faults a message is acknowledged in the time that its ways take', async (t) => {
  const calm = scenarioOf(1);
  const outcome = await simulated(() => runScenario({ ...calm, faults: [] }));
  t.same(outcome.failures, []);
  t.ok(outcome.healedMs <= 2_000, `all is well ${outcome.healedMs} ms after the end`);
});
