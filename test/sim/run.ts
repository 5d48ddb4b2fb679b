import { faultText, parseFault } from './faults.ts';
import { runScenario, scenarioOf, type Scenario } from './scenario.ts';
import { simulated } from './time.ts';

/**
 * `npm run sim -- --seed N [--faults a,b,…]`: one run, told line by line. `npm run sim -- --minutes M [--from N]`: as
 * many as fit, of seeds from N on, or from a random one; each that fails prints the command that repeats it.
 */
const usage = 'npm run sim -- --seed N [--faults …] | --minutes M [--from N]\n';

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function repeat(seed: number, faults: string | undefined): Promise<boolean> {
  const scenario = scenarioOf(seed);
  const given =
    faults === undefined ? {} : { faults: faults === '' ? [] : faults.split(',').map(parseFault) };
  const outcome = await simulated(() => runScenario({ ...scenario, ...given }, {}, true));
  for (const line of outcome.lines) process.stdout.write(`${line}\n`);
  process.stdout.write(`${JSON.stringify(scenario.settings)}\n`);
  report(scenario, outcome.failures);
  process.stdout.write(`${outcome.acks} acks, ${outcome.reads} reads, trace ${outcome.hash}\n`);
  return outcome.failures.length === 0;
}

function report({ seed, faults }: Scenario, failures: readonly string[]): void {
  for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
  if (failures.length > 0)
    process.stdout.write(`npm run sim -- --seed ${seed} --faults ${faults.map(faultText).join()}\n`);
}

async function soak(minutes: number, from: number): Promise<boolean> {
  const startMs = performance.now();
  let runs = 0;
  let failed = 0;
  let virtualMs = 0;
  let steps = 0;
  let acks = 0;
  let healedMs = 0;
  while (performance.now() - startMs < minutes * 60_000) {
    const scenario = scenarioOf(from + runs);
    const { failures, ...outcome } = await simulated(() => runScenario(scenario));
    runs += 1;
    virtualMs += outcome.virtualMs;
    steps += outcome.steps;
    acks += outcome.acks;
    healedMs = Math.max(healedMs, outcome.healedMs);
    if (failures.length > 0) failed += 1;
    report(scenario, failures);
  }
  const rate = runs / ((performance.now() - startMs) / 60_000);
  process.stdout.write(
    `${runs} scenarios, ${failed} failed; ${rate.toFixed(0)} a minute, ${(virtualMs / runs / 1000).toFixed(1)} virtual s, ` +
      `${(steps / runs).toFixed(0)} steps and ${(acks / runs).toFixed(0)} acks each; all well at most ${healedMs.toFixed(0)} ms after the faults\n`,
  );
  return failed === 0;
}

const seed = option('seed');
const minutes = option('minutes');
if (seed === undefined && minutes === undefined) process.stdout.write(usage);
else {
  const random = Math.floor(Math.random() * 2 ** 31);
  const isOk =
    seed === undefined
      ? await soak(Number(minutes), Number(option('from') ?? random))
      : await repeat(Number(seed), option('faults'));
  process.exitCode = isOk ? 0 : 1;
}
