import { parseArgs } from 'node:util';

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
  sizes: [16, 256, 4096, 32_768],
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

export function planOf(flags: readonly string[]): { plan: Plan; json: string | undefined } {
  const { values } = parseArgs({
    args: [...flags],
    options: {
      smoke: { type: 'boolean' },
      only: { type: 'string' },
      json: { type: 'string' },
      pairs: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'in-flight': { type: 'string' },
      rate: { type: 'string' },
      sessions: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const base = values.smoke === true ? smoke : whole;
  const number = (text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : Number(text);
  const runMs = values.seconds === undefined ? base.runMs : Number(values.seconds) * 1000;
  const parts =
    values.only === undefined
      ? base.parts
      : allParts.filter((part) => values.only?.split(',').includes(part));
  const plan: Plan = {
    ...base,
    pairs: number(values.pairs, base.pairs),
    rounds: number(values.rounds, base.rounds),
    runMs,
    rateMs: values.seconds === undefined ? base.rateMs : runMs,
    inFlight: values['in-flight']?.split(',').map(Number) ?? base.inFlight,
    rate: number(values.rate, base.rate),
    sessions: values.sessions?.split(',').map(Number) ?? base.sessions,
    parts,
  };
  return { plan, json: values.json };
}
