import type { SimChance } from '../sim/chance.ts';
import type { GateMode } from './gate.ts';
import type { Faults, Recovery } from './faults.ts';

/** Something that happens to the cluster, and may happen in any order with the others. */
export interface Ordeal {
  readonly name: string;
  readonly run: (faults: Faults, chance: SimChance) => Promise<Recovery>;
}

const nodes = [0, 1, 2] as const;
const modes: readonly GateMode[] = ['shut', 'lost', 'noAnswers', 'noRequests'];

const ofNodes: readonly Ordeal[] = [
  { name: 'a node is killed', run: (faults, chance) => faults.killNode(chance.pick(nodes)) },
  {
    name: 'a node stands still for longer than its lease',
    run: (faults, chance) => faults.pauseNode(chance.pick(nodes)),
  },
  { name: 'all nodes are restarted in a row', run: (faults) => faults.rollingRestart() },
  { name: 'all nodes are killed at once', run: (faults) => faults.killAllNodes() },
  {
    name: 'a node is added, and leaves',
    run: async (faults) => {
      const added = await faults.addNode(3);
      const removed = await faults.removeNode(3);
      return { ...removed, silenceMs: Math.max(added.silenceMs, removed.silenceMs) };
    },
  },
];

const ofNats: readonly Ordeal[] = [
  { name: 'a NATS server is killed', run: (faults, chance) => faults.killNats(chance.pick(nodes)) },
  { name: 'the leader of the leases’ log is killed', run: (faults) => faults.killNatsLeader() },
  {
    name: 'a node and the leader of the leases’ log are killed',
    run: (faults, chance) => faults.killNodeAndNatsLeader(chance.pick(nodes)),
  },
  { name: 'the NATS servers are restarted in a row', run: (faults) => faults.rollNats() },
  { name: 'all of NATS stands still for longer than the leases', run: (faults) => faults.pauseNats() },
  { name: 'NATS comes back empty', run: (faults) => faults.wipeNats() },
  ...modes.map((mode) => ({
    name: `a node is cut off from NATS (${mode})`,
    run: (faults: Faults, chance: SimChance) => faults.cutNats(chance.pick(nodes), mode),
  })),
];

const ofPostgres: readonly Ordeal[] = [
  { name: 'PostgreSQL is killed', run: (faults) => faults.endPostgres('SIGKILL') },
  { name: 'PostgreSQL is restarted', run: (faults) => faults.endPostgres('SIGINT') },
  { name: 'PostgreSQL stands still', run: (faults) => faults.pausePostgres() },
  {
    name: 'a node is killed while PostgreSQL stands still',
    run: (faults, chance) => faults.killNodeWithoutPostgres(chance.pick(nodes)),
  },
  ...modes.map((mode) => ({
    name: `a node is cut off from PostgreSQL (${mode})`,
    run: (faults: Faults, chance: SimChance) => faults.cutPostgres(chance.pick(nodes), mode),
  })),
];

/** What a cluster of three nodes, three NATS servers and one PostgreSQL must live through. */
export const ordeals: readonly Ordeal[] = [...ofNodes, ...ofNats, ...ofPostgres];
