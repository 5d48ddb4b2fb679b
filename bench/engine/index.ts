import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { startErlang } from '../peers/erlang/index.ts';
import { Helper } from '../support/helper.ts';
import { machine } from '../support/machine.ts';
import { machineLine, median, none, spread, table } from '../support/report.ts';
import { sumOf, type Done, type Order, type Side } from './orders.ts';
import { casesOf, planOf, scaled, smoke, type Case, type Plan } from './plan.ts';

/**
 * bench/engine: the actors' engine against Erlang's processes and nact. Each side in a process of its own that stays, and
 * warm: the first rounds are not counted. In each round the sides do the same case one after the other, so that what the
 * machine does meanwhile happens to all. Every message's number is added up by whoever handles it, and the sum compared.
 */
export { smoke };

export interface Report {
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
  readonly results: Readonly<Record<string, Results>>;
}

type Name = 'kefu' | 'erlang' | 'nact';
/** What each side did in each round of a case. */
type Results = Partial<Record<Name, readonly Done[]>>;

/** Nothing is counted of these: after one alone a compiler is still at work. */
const warmRounds = 2;
const head = ['figure', 'kefu', 'Erlang', 'nact', 'kefu : Erlang', 'wanted'];

export async function measure(
  plan: Plan,
  progress: (row: readonly string[]) => void = () => undefined,
): Promise<Report> {
  const cases = casesOf(plan);
  const erlang = { 1: await startErlang(1), 2: await startErlang(2) };
  const kefu = kefuSide();
  const nact = nactSide();
  const rows: (readonly string[])[] = [];
  const results: Record<string, Results> = {};
  let messages = 0;
  try {
    for (const it of cases) {
      const share = { kefu: plan.scale, erlang: plan.scale, nact: plan.scale * it.nactShare };
      const sides: readonly (readonly [Name, Side | undefined, Order])[] = [
        ['kefu', kefu, it.order],
        ['erlang', erlang[it.schedulers], it.erlang ?? it.order],
        ['nact', it.nactShare > 0 ? nact : undefined, it.order],
      ];
      const done: Record<string, Done[]> = {};
      for (let round = -warmRounds; round < plan.rounds; round += 1)
        for (const [name, side, order] of sides) {
          if (side === undefined) continue;
          const result = await carriedOut(side, scaled(order, share[name]));
          messages += result.count;
          if (round >= 0) (done[name] ??= []).push(result);
        }
      results[it.name] = done;
      const lines = rowsOf(it, done);
      rows.push(...lines);
      lines.forEach(progress);
    }
  } finally {
    for (const side of [kefu, nact, erlang[1], erlang[2]]) side?.close();
  }
  const peers = [erlang[1], erlang[2], nact].filter((side) => side !== undefined);
  const skipped = erlang[1] === undefined ? ' Erlang: skipped, erl is not installed.' : '';
  return {
    rows,
    results,
    notes: [
      `${messages.toLocaleString('en')} messages handled by all sides, their sums as they must be; ` +
        `${plan.rounds} rounds after ${warmRounds} to warm up; medians and ranges, ratios of each round by itself.`,
      `Peers: ${peers.map(({ label }) => label).join('; ')}.${skipped}`,
      `Load average at the end: ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}.`,
    ],
  };
}

async function carriedOut(side: Side, order: Order): Promise<Done> {
  const done = await side.ask(order);
  if (done.sum !== sumOf(order))
    throw new Error(`${side.label}: ${JSON.stringify(order)} made ${done.sum}, not ${sumOf(order)}`);
  return done;
}

function processSide(label: string, file: URL): Side {
  const helper = new Helper<Order>(file);
  return { label, ask: (order) => helper.ask<Done>(order), close: () => helper.close() };
}

function kefuSide(): Side {
  return processSide('kefu', new URL('kefu-process.ts', import.meta.url));
}

function nactSide(): Side {
  const { version } = createRequire(import.meta.url)('nact/package.json') as { version: string };
  return processSide(`nact ${version}`, new URL('../peers/nact/engine-process.ts', import.meta.url));
}

function rowsOf(it: Case, results: Results): string[][] {
  const perSecond = ({ count, ms }: Done): number => (count / ms) * 1000;
  const wanted = it.wanted === undefined ? none : `${it.wanted} ×`;
  const rows = [row(`${it.name}, a second`, results, perSecond, wanted)];
  if (it.order.do === 'wake') {
    rows.push(row('… ended, a second', results, ({ count, endMs }) => (count / endMs) * 1000, none));
    rows.push(row('… bytes of memory each', results, ({ bytes }) => bytes, none));
  }
  return rows;
}

function row(name: string, results: Results, of: (done: Done) => number, wanted: string): string[] {
  const { kefu = [], erlang = [], nact = [] } = results;
  const ratios = kefu.slice(0, erlang.length).map((done, round) => of(done) / of(erlang[round]!));
  return [
    name,
    ...[kefu, erlang, nact].map((list) => spread(list.map(of))),
    ratios.length === 0
      ? 'skipped: erl is not installed'
      : `${median(ratios).toFixed(2)} × (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    wanted,
  ];
}

export async function run(flags: readonly string[]): Promise<void> {
  const { plan, json } = planOf(flags);
  const report = await measure(plan, (row) => process.stderr.write(`${row.join(' | ')}\n`));
  const lines = [machineLine(), '', ...table(head, report.rows), '', ...report.notes];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
