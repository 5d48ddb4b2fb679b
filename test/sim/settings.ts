import type { JournalOptions } from '../../src/store/journal.ts';
import type { KeeperOptions } from '../../src/cluster/shard-keeper.ts';
import type { ClusterOptions } from '../../src/cluster/cluster-node.ts';
import type { History, Journal } from '../../src/actors/ports.ts';
import type { RouterOptions } from '../../src/cluster/router.ts';
import type { DatabaseFaults } from './sim-database.ts';
import type { LeaseFaults } from './sim-lease-store.ts';
import type { NetworkOptions } from './network.ts';
import type { Rules } from './statements.ts';

/** Where a mutation changes the code under test: each gets what the simulator would pass in, and returns what it does. */
export interface Hooks {
  readonly rules?: Partial<Rules>;
  readonly cluster?: (options: ClusterOptions) => ClusterOptions;
  readonly journalOptions?: (options: JournalOptions) => JournalOptions;
  readonly journal?: (journal: Journal) => Journal;
  readonly history?: (history: History) => History;
  readonly keeper?: (options: KeeperOptions) => KeeperOptions;
  readonly router?: (options: RouterOptions) => RouterOptions;
  /** Milliseconds of a reservation, instead of the agents' own. */
  readonly reserveMs?: number;
}

/** What kind of world a run has. */
export interface Settings {
  readonly nodes: number;
  readonly workers: number;
  readonly suspectMs: number;
  readonly ttlMs: number;
  readonly commitWaitMs: number;
  readonly reserveMs: number;
  readonly graceMs: number;
  readonly idleMs: number;
  readonly hotBytes: number;
  readonly heldMax: number;
  readonly customers: number;
  /** How many of them follow their session on a second device. */
  readonly watchers: number;
  readonly agents: number;
  readonly capacity: number;
  /** Milliseconds between two actions of a client, about. */
  readonly paceMs: number;
  readonly network: NetworkOptions;
  readonly leases: LeaseFaults;
  readonly database: DatabaseFaults;
}

export const calmSettings: Settings = {
  nodes: 3,
  workers: 2,
  suspectMs: 1_000,
  ttlMs: 8_000,
  commitWaitMs: 2_000,
  reserveMs: 3_000,
  graceMs: 3_000,
  idleMs: 4_000,
  hotBytes: 20_000,
  heldMax: 1_000,
  customers: 4,
  watchers: 2,
  agents: 2,
  capacity: 2,
  paceMs: 400,
  network: { latencyMs: 1, dropped: 0, repeated: 0, slow: 0, wireRepeated: 0 },
  leases: { twoWinners: 0, staleReads: 0, forgotten: 0, unanswered: 0 },
  database: { rolledBack: 0, lostBefore: 0, lostAfter: 0, straggles: 0 },
};
