import { Flags } from '../support/flags.ts';
import type { Order } from './orders.ts';

/** What to measure, and how much of it. */
export interface Plan {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Of the work of each case. */
  readonly scale: number;
}

export const allParts = ['tell', 'ring', 'ask', 'depth', 'threads', 'wake'] as const;
export type Part = (typeof allParts)[number];

/** One line of the report: the same work for all sides, of which the slow ones do less. */
export interface Case {
  readonly part: Part;
  readonly name: string;
  /** `count` of the messages; what comes with it stays as it is. */
  readonly order: Order;
  /** What Erlang is asked instead, if that differs. */
  readonly erlang?: Order;
  /** Erlang has a VM with one scheduler, and one with two for what goes across. */
  readonly schedulers: 1 | 2;
  /** Of the messages, for nact; none if it can't. */
  readonly nactShare: number;
  /** Times as many messages a second as Erlang. */
  readonly wanted?: number;
}

const tell = (actors: number, burst: number, count: number): Order => ({ do: 'tell', actors, burst, count });

const cases: readonly Case[] = [
  {
    part: 'tell',
    name: 'tell, 1 actor, bursts of 1,000',
    order: tell(1, 1000, 5_000_000),
    schedulers: 1,
    nactShare: 0.02,
    wanted: 2,
  },
  {
    part: 'tell',
    name: '… 1,000 actors in turn, one message each',
    order: tell(1000, 1000, 3_000_000),
    schedulers: 1,
    nactShare: 0.03,
    wanted: 2,
  },
  {
    part: 'tell',
    name: '… 100,000 actors in turn',
    order: tell(100_000, 100_000, 2_000_000),
    schedulers: 1,
    nactShare: 0.05,
    wanted: 2,
  },
  {
    part: 'ring',
    name: 'one token through a ring of 1,000 actors',
    order: { do: 'ring', actors: 1000, count: 3_000_000 },
    schedulers: 1,
    nactShare: 0.02,
    wanted: 2,
  },
  {
    part: 'ask',
    name: 'ask, 1 in flight; Erlang: bare ping-pong',
    order: { do: 'ask', how: 'plain', inFlight: 1, count: 200_000 },
    schedulers: 1,
    nactShare: 0.3,
  },
  {
    part: 'ask',
    name: '… Erlang: gen_server:call',
    order: { do: 'ask', how: 'call', inFlight: 1, count: 200_000 },
    schedulers: 1,
    nactShare: 0,
  },
  {
    part: 'ask',
    name: 'ask, 64 in flight; Erlang: bare ping-pong',
    order: { do: 'ask', how: 'plain', inFlight: 64, count: 1_000_000 },
    schedulers: 1,
    nactShare: 0.06,
  },
  ...[1, 10, 100, 1000, 10_000, 100_000, 1_000_000].map((depth): Case => {
    const name = depth === 1 ? 'a mailbox filled to 1 and drained' : `… to ${depth.toLocaleString('en')}`;
    const count = depth === 1 ? 200_000 : 2_000_000;
    const nactShare = depth === 1_000_000 ? 0 : depth === 1 ? 0.3 : 0.05;
    return { part: 'depth', name, order: { do: 'depth', depth, count }, schedulers: 1, nactShare };
  }),
  {
    part: 'threads',
    name: 'tell to another thread, bursts of 1,000',
    order: { do: 'cross', burst: 1000, count: 500_000 },
    schedulers: 2,
    nactShare: 0,
  },
  {
    part: 'threads',
    name: 'ask another thread, 1 in flight',
    order: { do: 'cross_ask', inFlight: 1, count: 20_000 },
    schedulers: 2,
    nactShare: 0,
  },
  {
    part: 'threads',
    name: '… 64 in flight',
    order: { do: 'cross_ask', inFlight: 64, count: 300_000 },
    schedulers: 2,
    nactShare: 0,
  },
  {
    part: 'wake',
    name: 'actors made by their first message, of 100,000',
    order: { do: 'wake', actors: 100_000 },
    schedulers: 1,
    nactShare: 0.2,
  },
];

const whole: Plan = { parts: allParts, rounds: 5, scale: 1 };
export const smoke: Plan = { parts: allParts, rounds: 1, scale: 0.005 };

export function casesOf(plan: Plan): readonly Case[] {
  return cases.filter(({ part }) => plan.parts.includes(part));
}

/** Less of the same: whole bursts, one at least. */
export function scaled(order: Order, share: number): Order {
  if (order.do === 'wake') return { ...order, actors: Math.max(100, Math.round(order.actors * share)) };
  const count = Math.max(1, Math.round(order.count * share));
  if (order.do === 'depth') return { ...order, depth: Math.min(order.depth, count), count };
  if (order.do === 'tell') return { ...order, actors: Math.min(order.actors, count), count };
  return { ...order, count };
}

const usage = `npm run bench engine -- [--smoke] [--only ${allParts.join(',')}] [--rounds N] [--scale N] [--json FILE]\n`;

export function planOf(args: readonly string[]): { plan: Plan; json: string | undefined } {
  const flags = new Flags(args, usage, ['only', 'rounds', 'scale']);
  const base = flags.isSmoke ? smoke : whole;
  const plan: Plan = {
    parts: flags.some('only', allParts, base.parts),
    rounds: flags.number('rounds', base.rounds),
    scale: flags.number('scale', base.scale),
  };
  return { plan, json: flags.json };
}
