import type { Mutation } from './mutations/mutations.ts';
import { runScenario, scenarioOf, type Outcome, type Scenario } from './scenario.ts';
import { simulated } from './time.ts';

/** A scenario's run in the world that a mutation wants, with or without it. */
function run(scenario: Scenario, mutation: Mutation, isMutated: boolean): Promise<Outcome> {
  const settings = mutation.world?.(scenario.settings) ?? scenario.settings;
  return simulated(() => runScenario({ ...scenario, settings }, isMutated ? mutation.hooks : {}));
}

/**
 * The first of these seeds at which the mutation fails and the true code does not; undefined: none. `counts`: which of
 * the failures are held against it.
 */
export async function caughtAt(
  mutation: Mutation,
  from: number,
  count: number,
  counts: (failures: readonly string[]) => readonly string[] = (failures) => failures,
): Promise<{ readonly seed: number; readonly failure: string } | undefined> {
  for (let seed = from; seed < from + count; seed += 1) {
    const scenario = scenarioOf(seed);
    const failures = counts((await run(scenario, mutation, true)).failures);
    if (failures.length === 0) continue;
    const truth = await run(scenario, mutation, false);
    if (truth.failures.length === 0) return { seed, failure: failures[0]! };
  }
  return undefined;
}
