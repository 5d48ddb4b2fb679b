import { Flags } from '../support/flags.ts';
import type { Row } from '../support/report.ts';

/** What to measure, and how much of it. */
export interface Plan {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Of one kind of question, a round. */
  readonly askMs: number;
  /** For how long the messages of an idle cluster are counted. */
  readonly idleMs: number;
  /** Pairs of a customer and an agent whose sessions are watched while nodes are drained and killed. */
  readonly watched: number;
  /** Each watched customer says something so often while a node is drained; and while one is killed, or the feed is read. */
  readonly drainEveryMs: number;
  readonly calmEveryMs: number;
  /** Of usual talk before and after a fault, and for the feed. */
  readonly talkMs: number;
  /** Of the closed loop. */
  readonly pairs: number;
  readonly inFlight: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** Which clusters the closed loop is run on; each with its own nodes, PostgreSQL and NATS. */
  readonly sizes: readonly Size[];
}

export const allParts = ['ask', 'idle', 'drain', 'kill', 'nats', 'feed', 'talk'] as const;
export type Part = (typeof allParts)[number];

/** Nodes and worker threads each: a node alone, or the three of a cluster. */
export type Size =
  | { readonly nodes: 1; readonly workers: 1 | 2 }
  | { readonly nodes: 3; readonly workers: 1; readonly feed: boolean };

/** What a part of the bench has found. */
export interface Measured {
  readonly rows: readonly Row[];
  readonly results: Readonly<Record<string, unknown>>;
  /** What was done and compared: less work can't look like speed. */
  readonly work: string;
}

const whole: Plan = {
  parts: allParts,
  rounds: 3,
  askMs: 1500,
  idleMs: 30_000,
  watched: 90,
  drainEveryMs: 50,
  calmEveryMs: 100,
  talkMs: 2000,
  pairs: 120,
  inFlight: 4,
  warmMs: 1500,
  runMs: 5000,
  sizes: [
    { nodes: 1, workers: 1 },
    { nodes: 1, workers: 2 },
    { nodes: 3, workers: 1, feed: true },
    { nodes: 3, workers: 1, feed: false },
  ],
};

export const smoke: Plan = {
  ...whole,
  parts: ['ask', 'idle', 'drain', 'kill', 'feed'],
  rounds: 1,
  askMs: 200,
  idleMs: 1000,
  watched: 6,
  talkMs: 400,
  pairs: 6,
  warmMs: 200,
  runMs: 500,
  sizes: [{ nodes: 3, workers: 1, feed: true }],
};

const usage = `npm run bench cluster -- [--smoke] [--only ${allParts.join(',')}] [--json FILE]
  [--rounds N] [--seconds N] [--watched N] [--every MS] [--pairs N] [--in-flight N]
`;

export function planOf(args: readonly string[]): { plan: Plan; json: string | undefined } {
  const names = ['only', 'rounds', 'seconds', 'watched', 'every', 'pairs', 'in-flight'] as const;
  const flags = new Flags(args, usage, names);
  const base = flags.isSmoke ? smoke : whole;
  const plan: Plan = {
    ...base,
    parts: flags.some('only', allParts, base.parts),
    rounds: flags.number('rounds', base.rounds),
    askMs: flags.seconds('seconds', base.askMs),
    runMs: flags.seconds('seconds', base.runMs),
    watched: flags.number('watched', base.watched),
    drainEveryMs: flags.number('every', base.drainEveryMs),
    pairs: flags.number('pairs', base.pairs),
    inFlight: flags.number('in-flight', base.inFlight),
  };
  return { plan, json: flags.json };
}
