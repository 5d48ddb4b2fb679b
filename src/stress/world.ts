import type { SeededChance } from './chance.ts';
import type { Line } from './line.ts';
import type { Pace } from './plan.ts';
import type { SessionCheck } from './session-check.ts';
import type { Tally } from './tally.ts';
import type { Node } from './target.ts';

/** What all people of one generator share. */
export interface World {
  readonly nodes: readonly Node[];
  readonly tally: Tally;
  readonly chance: SeededChance;
  readonly pace: Pace;
  /** Marks all that this run makes: ids of messages begin with it. */
  readonly run: string;
  readonly group: string;
  /** When the run began, since 1970; sessions of earlier runs are older. */
  readonly startedWallMs: number;
  /** Of a clock with one origin for all processes of the machine. */
  readonly nowMs: () => number;
  readonly after: (delayMs: number, callback: () => void) => () => void;
  readonly lines: Set<Line>;
  readonly ledger: Ledger;
  /** Nobody says anything new or comes any more. */
  isOver: boolean;
  /** Of this generator, and of its last message: together with `run` no other message has them. */
  readonly index: number;
  numbers: number;
}

/** Sessions to be compared with their history at the end: a fair sample of all, of a bounded size. */
export interface Ledger {
  add(entry: LedgerEntry): void;
}

export interface LedgerEntry {
  readonly session: string;
  readonly check: SessionCheck;
  readonly token: string;
  readonly node: Node;
  readonly localAddress: string | undefined;
}

/** Each of all that were ever added is in the sample with the same chance. */
export class Sample implements Ledger {
  readonly entries: LedgerEntry[] = [];
  readonly #max: number;
  readonly #chance: SeededChance;
  #seen = 0;

  constructor(max: number, chance: SeededChance) {
    this.#max = max;
    this.#chance = chance;
  }

  add(entry: LedgerEntry): void {
    this.#seen += 1;
    if (this.entries.length < this.#max) {
      this.entries.push(entry);
      return;
    }
    const place = Math.floor(this.#chance.next() * this.#seen);
    if (place < this.#max) this.entries[place] = entry;
  }
}

/**
 * A message's id tells when it was due, in microseconds of the common clock, so that whoever gets it, in whatever
 * process, knows how long it took; without a time it is not to be measured.
 */
export function messageId(world: World, dueMs: number | undefined): string {
  world.numbers += 1;
  const due = dueMs === undefined ? '-' : Math.round(dueMs * 1000).toString(36);
  return `${world.run}.${due}.${world.index.toString(36)}.${world.numbers.toString(36)}`;
}

export function dueOf(run: string, id: unknown): number | undefined {
  if (typeof id !== 'string' || !id.startsWith(`${run}.`)) return undefined;
  const us = Number.parseInt(id.slice(run.length + 1), 36);
  return Number.isNaN(us) ? undefined : us / 1000;
}
