import { Flags } from '../support/flags.ts';

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

export function planOf(args: readonly string[]): { plan: Plan; json: string | undefined } {
  const flags = new Flags(args, usage, ['only', 'customers', 'open', 'storm', 'rounds']);
  const base = flags.isSmoke ? smoke : whole;
  const plan: Plan = {
    ...base,
    customers: flags.number('customers', base.customers),
    openSessions: flags.number('open', base.openSessions),
    storm: flags.number('storm', base.storm),
    rounds: flags.number('rounds', base.rounds),
    parts: flags.some('only', allParts),
  };
  return { plan, json: flags.json };
}
