import { SimChance } from './chance.ts';
import { faultKinds, type Fault } from './faults.ts';
import { SimCluster } from './sim-cluster.ts';
import { calmSettings, type Hooks, type Settings } from './settings.ts';
import type { HistoryEntry } from './clients.ts';

/** All that decides a run. */
export interface Scenario {
  readonly seed: number;
  readonly settings: Settings;
  readonly faults: readonly Fault[];
  /** Virtual milliseconds in which faults happen. */
  readonly lengthMs: number;
}

export interface Outcome {
  readonly failures: readonly string[];
  readonly hash: string;
  readonly lines: readonly string[];
  readonly virtualMs: number;
  readonly steps: number;
  readonly acks: number;
  readonly reads: number;
  /** From the end of the faults until all was well. */
  readonly healedMs: number;
  readonly history: readonly HistoryEntry[];
  /** The log of each session, as it is stored. */
  readonly events: ReadonlyMap<string, readonly string[]>;
}

/** After the last fault, all must be well within this. */
const healMaxMs = 60_000;
const bootMs = 2_500;
const healStepMs = 500;

/** Must be called from `simulated`. */
export function runScenario(scenario: Scenario, hooks: Hooks = {}, verbose = false): Outcome {
  const { seed, settings, faults, lengthMs } = scenario;
  const cluster = new SimCluster({ seed, settings, hooks, verbose });
  const { time, ledger, trace } = cluster;
  const isWell = (): boolean => ledger.failures.length === 0;
  cluster.time.run(bootMs);
  cluster.begin();
  // What would come after the end of the faults does not come.
  for (const fault of faults) if (fault.atMs < lengthMs) time.after(fault.atMs, () => cluster.inject(fault));
  for (let ms = 0; ms < lengthMs && isWell(); ms += healStepMs) time.run(healStepMs);
  cluster.heal();
  const startMs = time.sinceMs;
  let troubles = cluster.troubles();
  while (isWell() && (troubles.length > 0 || time.sinceMs - startMs < 1_000)) {
    time.run(healStepMs);
    troubles = cluster.troubles();
    if (time.sinceMs - startMs > healMaxMs) {
      for (const trouble of troubles.slice(0, 5)) ledger.fail(`not well ${healMaxMs} ms later: ${trouble}`);
      break;
    }
  }
  ledger.finish();
  return {
    failures: ledger.failures,
    hash: trace.hash,
    lines: trace.lines,
    virtualMs: time.sinceMs,
    steps: time.steps,
    acks: ledger.acks,
    reads: ledger.reads,
    healedMs: time.sinceMs - startMs,
    history: cluster.history,
    events: new Map(
      [...cluster.database.events].map(([session, log]) => [session, log.map(({ data }) => data)]),
    ),
  };
}

/** A world of its own for each seed: some calm, some in which everything goes wrong at once. */
export function scenarioOf(seed: number): Scenario {
  const chance = new SimChance(seed);
  const lengthMs = 6_000 + chance.below(8_000);
  const faults = Array.from({ length: chance.below(7) }, () => randomFault(chance, lengthMs)).sort(
    (a, b) => a.atMs - b.atMs,
  );
  return { seed, settings: randomSettings(chance), faults, lengthMs };
}

function randomFault(chance: SimChance, lengthMs: number): Fault {
  const long = chance.happens(0.3) ? 12_000 : 3_000;
  return {
    atMs: chance.below(lengthMs),
    kind: chance.pick(faultKinds),
    node: chance.below(5),
    other: chance.below(5),
    forMs: 50 + chance.below(long),
  };
}

export function randomSettings(chance: SimChance): Settings {
  /** Most worlds have only some of the small faults. */
  const rate = (max: number): number => (chance.happens(0.3) ? chance.next() * max : 0);
  return {
    ...calmSettings,
    nodes: chance.happens(0.7) ? 3 : 1 + chance.below(5),
    workers: 1 + chance.below(2),
    suspectMs: chance.pick([600, 1_000, 2_000]),
    ttlMs: chance.pick([8_000, 20_000]),
    commitWaitMs: chance.pick([1_000, 3_000]),
    graceMs: chance.pick([1_000, 5_000]),
    idleMs: chance.pick([500, 5_000, 60_000]),
    hotBytes: chance.pick([1, 2_000, 100_000]),
    customers: 2 + chance.below(5),
    agents: 1 + chance.below(3),
    capacity: 1 + chance.below(3),
    paceMs: chance.pick([150, 400]),
    network: {
      latencyMs: chance.pick([0.5, 2, 20]),
      dropped: rate(0.1),
      repeated: rate(0.2),
      slow: rate(0.1),
      wireRepeated: 0,
    },
    leases: {
      twoWinners: rate(0.5),
      staleReads: rate(0.5),
      forgotten: rate(0.5),
      unanswered: rate(0.1),
    },
    database: {
      rolledBack: rate(0.03),
      lostBefore: rate(0.02),
      lostAfter: rate(0.05),
      straggles: rate(0.03),
    },
    // What came later draws later, so that the others stay as they are for the seeds that are known.
    watchers: chance.below(4),
  };
}
