import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SimChance } from '../sim/chance.ts';
import { Faults, recoveryText, type Recovery } from './faults.ts';
import { ordeals } from './plan.ts';
import { Stage } from './stage.ts';
import { World } from './world.ts';

/**
 * `npm run chaos -- --minutes M [--seed N]`: three nodes, three NATS servers, one PostgreSQL, people who check what they
 * are told, and faults in an order of chance. Ends with 1 and the evidence when a promise was broken.
 */
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string' } },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write('npm run chaos -- --minutes M [--seed N]\n');
  process.exit(2);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const byName = new Map<string, { during: number[]; after: number[]; silence: number[] }>();

function note(name: string, { duringMs, afterMs, silenceMs }: Recovery): void {
  const all = byName.get(name) ?? { during: [], after: [], silence: [] };
  byName.set(name, all);
  if (duringMs !== undefined) all.during.push(duringMs);
  if (afterMs !== undefined) all.after.push(afterMs);
  all.silence.push(silenceMs);
}

/** Memory and open files of the nodes: what grows without end would be seen here. */
function weight(stage: Stage): string {
  return stage.up
    .map((index) => {
      const { pid } = stage.nodes[index]!;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
      return `n${index + 1} ${Math.round(kilobytes / 1024)} MB ${readdirSync(`/proc/${pid}/fd`).length} files`;
    })
    .join(', ');
}

function middle(values: number[]): string {
  if (values.length === 0) return '–';
  const sorted = values.toSorted((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)]} (max ${sorted.at(-1)})`;
}

say(`chaos: ${minutes} minutes, seed ${seed}`);
const stage = await Stage.start({ suspectMs: 2000, ttlMs: 10_000, natsServers: 3, gates: true });
const world = await World.start(stage, { seed });
const faults = new Faults(stage, world);
const chance = new SimChance(seed);
const endMs = performance.now() + minutes * 60_000;
let left: number[] = [];
let broken: readonly string[] = [];
let count = 0;
try {
  while (performance.now() < endMs && broken.length === 0) {
    // Each once before any comes again.
    if (left.length === 0) left = [...ordeals.keys()];
    const { name, run } = ordeals[left.splice(chance.below(left.length), 1)[0]!]!;
    const recovery = await run(faults, chance);
    count += 1;
    note(name, recovery);
    say(`${count}. ${name}: ${recoveryText(recovery)}; ${world.latencies()}`);
    for (const story of world.stories().slice(0, 3)) say(`     ${story}`);
    broken = await world.check();
    if (count % 5 === 0) say(`     ${weight(stage)}`);
  }
  say(`everybody has an agent ${await world.served(60_000)} ms later`);
  broken = await world.finish();
} catch (error) {
  broken = [...world.ledger.violations, String((error as Error).stack)];
}
say(
  `\n${world.ledger.acks} acks in ${world.ledger.books.size} sessions, ${count} faults; ${weight(stage)}\n`,
);
say(
  '| fault | times | all answered again after the damage, ms | after the mending, ms | longest silence, ms |',
);
say('| --- | --- | --- | --- | --- |');
for (const [name, { during, after, silence }] of byName)
  say(`| ${name} | ${silence.length} | ${middle(during)} | ${middle(after)} | ${middle(silence)} |`);
for (const one of broken) say(`BROKEN ${one}`);
if (broken.length > 0) say(`npm run chaos -- --minutes ${minutes} --seed ${seed}`);
await stage.stop().catch((error: unknown) => say(`the stage did not end: ${String(error)}`));
process.exit(broken.length > 0 ? 1 : 0);
