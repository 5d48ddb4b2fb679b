import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SimChance } from '../sim/chance.ts';
import { Faults, recoveryText } from './faults.ts';
import { Figures } from './figures.ts';
import { ordeals, type Ordeal } from './plan.ts';
import { Stage } from './stage.ts';
import { Weight } from './weight.ts';
import { World } from './world.ts';

/**
 * `npm run chaos -- --minutes M [--seed N] [--only PATTERN]`: three nodes, three NATS servers, one PostgreSQL, people who
 * check what they are told, and faults in an order of chance, or those whose names fit. Ends with 1 and the evidence when
 * a promise was broken.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const chosen = ordeals.filter(({ name }) => new RegExp(values.only).test(name));
if (!(minutes > 0) || !Number.isSafeInteger(seed) || chosen.length === 0) {
  process.stderr.write('npm run chaos -- --minutes M [--seed N] [--only PATTERN of faults’ names]\n');
  process.exit(2);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const figures = new Figures();
let count = 0;
let endMs = Infinity;
/** The first signal ends it in good order, with all that it knows by then. */
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    say('it ends after this fault');
    endMs = 0;
  });

/** Each once, in an order of chance, before any comes again. */
function* inDisorder(chance: SimChance): Generator<Ordeal> {
  for (;;)
    for (const left = [...chosen]; left.length > 0;) yield left.splice(chance.below(left.length), 1)[0]!;
}

async function suffer(world: World, weight: Weight): Promise<readonly string[]> {
  const chance = new SimChance(seed);
  const faults = new Faults(world.stage, world);
  endMs = Math.min(endMs, performance.now() + minutes * 60_000);
  for (const { name, run } of inDisorder(chance)) {
    const recovery = await run(faults, chance);
    count += 1;
    figures.note(name, recovery);
    say(`${count}. ${name}: ${recoveryText(recovery)}; ${world.latencies()}`);
    for (const story of world.stories().slice(0, 3)) say(`     ${story}`);
    const { text, faults: heavy } = weight.take();
    for (const one of heavy) world.ledger.accuse(one);
    if (count % 5 === 0) say(`     ${text}`);
    const broken = await world.check();
    if (broken.length > 0) return broken;
    if (performance.now() > endMs) break;
  }
  say(`everybody has an agent ${await world.served(60_000)} ms later`);
  return world.finish();
}

say(`chaos: ${minutes} minutes, seed ${seed}`);
const stage = await Stage.start({ suspectMs: 2000, ttlMs: 10_000, natsServers: 3, gates: true });
const world = await World.start(stage, { seed, customers: 16, agents: 4 });
const weight = new Weight(stage);
const broken = await suffer(world, weight).catch((error: unknown) => [
  ...world.ledger.violations,
  ...stage.troubles(),
  String((error as Error).stack),
]);
say(
  `\n${world.ledger.acks} acks in ${world.ledger.books.size} sessions, ${count} faults; ${weight.take().text}`,
);
say(`the heaviest node had ${weight.megabytesMost} MB, the busiest ${weight.filesMost} open files\n`);
for (const line of figures.lines()) say(line);
for (const one of broken) say(`BROKEN ${one}`);
if (broken.length > 0) {
  const folder = mkdtempSync(join(tmpdir(), 'kefu-chaos-'));
  stage.keepLogs(folder);
  say(`what the nodes said is in ${folder}`);
  say(`npm run chaos -- --minutes ${minutes} --seed ${seed}`);
}
await stage.stop().catch((error: unknown) => say(`the stage did not end: ${String(error)}`));
process.exit(broken.length > 0 ? 1 : 0);
