import { parseArgs } from 'node:util';

export const allParts = ['idle', 'open', 'storm'] as const;
export type Part = (typeof allParts)[number];

export interface Plan {
  /** Connected at once, over as many nodes as it takes. */
  readonly customers: number;
  /** Of one node, each with an open session. */
  readonly openSessions: number;
  /** Cut off and back at once, on one node. */
  readonly storm: number;
  readonly rounds: number;
  /** Memory has settled when it has not fallen for so long. */
  readonly stillMs: number;
  readonly parts: readonly Part[];
}

const whole: Plan = {
  customers: 100_000,
  openSessions: 15_000,
  storm: 15_000,
  rounds: 3,
  stillMs: 10_000,
  parts: allParts,
};
export const smoke: Plan = { ...whole, customers: 60, openSessions: 30, storm: 40, rounds: 1, stillMs: 500 };

const usage = `npm run bench connections -- [--smoke] [--only idle,open,storm] [--customers N] [--open N] [--storm N] [--rounds N]
  [--json FILE]
`;

export function planOf(flags: readonly string[]): { plan: Plan; json: string | undefined } {
  const { values } = parseArgs({
    args: [...flags],
    options: {
      smoke: { type: 'boolean' },
      only: { type: 'string' },
      customers: { type: 'string' },
      open: { type: 'string' },
      storm: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'string' },
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
  const plan: Plan = {
    ...base,
    customers: number(values.customers, base.customers),
    openSessions: number(values.open, base.openSessions),
    storm: number(values.storm, base.storm),
    rounds: number(values.rounds, base.rounds),
    parts: allParts.filter((part) => values.only === undefined || values.only.split(',').includes(part)),
  };
  return { plan, json: values.json };
}
