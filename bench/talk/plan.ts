import { Flags } from '../support/flags.ts';

/** What to measure, and how much of it. */
export interface Plan {
  readonly pairs: number;
  readonly rounds: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** The open loop's. */
  readonly rateMs: number;
  readonly inFlight: readonly number[];
  /** Messages a second of the open loop. */
  readonly rate: number;
  /** Open sessions, ever more. */
  readonly sessions: readonly number[];
  /** Who has these. */
  readonly agents: number;
  readonly workers: readonly number[];
  /** Bytes of a message. */
  readonly sizes: readonly number[];
  readonly parts: readonly Part[];
}

export const allParts = ['start', 'talk', 'stop', 'sessions', 'workers', 'size'] as const;
export type Part = (typeof allParts)[number];

const whole: Plan = {
  pairs: 200,
  rounds: 3,
  warmMs: 1500,
  runMs: 5000,
  rateMs: 10_000,
  inFlight: [1, 4, 16],
  rate: 5000,
  sessions: [1000, 10_000, 100_000],
  agents: 200,
  workers: [1, 2],
  sizes: [16, 256, 4096, 16_000],
  parts: allParts,
};

export const smoke: Plan = {
  ...whole,
  pairs: 5,
  rounds: 1,
  warmMs: 200,
  runMs: 600,
  rateMs: 600,
  inFlight: [4],
  rate: 200,
  sessions: [10, 30],
  agents: 3,
  workers: [1],
  sizes: [4096],
  parts: allParts.filter((part) => part !== 'workers'),
};

const usage = `npm run bench talk -- [--smoke] [--only start,talk,stop,sessions,workers,size] [--json FILE]
  [--pairs N] [--rounds N] [--seconds N] [--in-flight 1,4,16] [--rate N] [--sessions 1000,10000,100000]
`;

export function planOf(args: readonly string[]): { plan: Plan; json: string | undefined } {
  const flags = new Flags(args, usage, [
    'only',
    'pairs',
    'rounds',
    'seconds',
    'in-flight',
    'rate',
    'sessions',
  ]);
  const base = flags.isSmoke ? smoke : whole;
  const plan: Plan = {
    ...base,
    pairs: flags.number('pairs', base.pairs),
    rounds: flags.number('rounds', base.rounds),
    runMs: flags.seconds('seconds', base.runMs),
    rateMs: flags.seconds('seconds', base.rateMs),
    inFlight: flags.numbers('in-flight', base.inFlight),
    rate: flags.number('rate', base.rate),
    sessions: flags.numbers('sessions', base.sessions),
    parts: flags.some('only', allParts, base.parts),
  };
  return { plan, json: flags.json };
}
