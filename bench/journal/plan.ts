import { Flags } from '../support/flags.ts';

/** What to measure, and how much of it. */
export interface Plan {
  readonly rounds: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** Of the many. */
  readonly writers: number;
}

/** How events are written. All hold the fence of the session's shard in the transaction. */
export type Way =
  | {
      readonly how: 'journal';
      /** Threads, each with a journal and its half of the shards. */
      readonly journals: 1 | 2;
      readonly batchEvents: number;
      /** Of 100 sessions those whose shards have a newer owner. */
      readonly lostPercent?: number;
      /** Of so many appends one is a row that PostgreSQL refuses. */
      readonly badEvery?: number;
    }
  /** A transaction for each event, on so many connections. */
  | { readonly how: 'single'; readonly connections: number };

export interface Case {
  readonly name: string;
  /** Sessions, each of which appends again when it hears of its last one. */
  readonly writers: number;
  readonly way: Way;
}

const batchDefault = 2000;

export function casesOf({ writers }: Plan): readonly Case[] {
  const journal = (more: object = {}): Way => ({
    how: 'journal',
    journals: 1,
    batchEvents: batchDefault,
    ...more,
  });
  const many = writers.toLocaleString('en');
  const badEvery = writers * 10;
  const counts = [1, 10, 100, 1000].filter((count) => count <= writers);
  return [
    ...counts.map((count) => ({
      name: `${count.toLocaleString('en')} session${count > 1 ? 's' : ''}`,
      writers: count,
      way: journal(),
    })),
    ...[1, 10, 100].map((batchEvents) => ({
      name: `${many} sessions, at most ${batchEvents} events a transaction`,
      writers,
      way: journal({ batchEvents }),
    })),
    { name: `${many} sessions, 2 journals`, writers, way: journal({ journals: 2 }) },
    {
      name: `${many} sessions, 1 % of them on shards that were lost`,
      writers,
      way: journal({ lostPercent: 1 }),
    },
    {
      name: `${many} sessions, 1 of ${badEvery.toLocaleString('en')} events a bad row`,
      writers,
      way: journal({ badEvery }),
    },
    {
      name: 'no journal: an insert a transaction, 1 connection',
      writers: 1,
      way: { how: 'single', connections: 1 },
    },
    { name: '… 8 connections', writers: 8, way: { how: 'single', connections: 8 } },
  ];
}

const whole: Plan = { rounds: 3, warmMs: 300, runMs: 1500, writers: 1000 };
export const smoke: Plan = { rounds: 1, warmMs: 20, runMs: 80, writers: 100 };

const usage = 'npm run bench journal -- [--smoke] [--rounds N] [--seconds N] [--json FILE]\n';

export function planOf(args: readonly string[]): { plan: Plan; json: string | undefined } {
  const flags = new Flags(args, usage, ['rounds', 'seconds']);
  const base = flags.isSmoke ? smoke : whole;
  const plan = {
    ...base,
    rounds: flags.number('rounds', base.rounds),
    runMs: flags.seconds('seconds', base.runMs),
  };
  return { plan, json: flags.json };
}
