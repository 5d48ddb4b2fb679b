import { NatsServers } from '../../test/support/nats.ts';
import type { MoleculerOrder } from '../peers/moleculer/ask-process.ts';
import { Helper } from '../support/helper.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { AskKind, AskOrder } from './ask-process.ts';
import type { Asked, Load } from './asking.ts';
import type { Measured, Plan } from './plan.ts';

/**
 * An ask to an actor of another process by the real router and wire; against a request of bare NATS with the same
 * bytes between the same two processes over the same connections; and against a call of Moleculer between two of its own,
 * with either of its serializers. One nats-server, all in turn.
 */
export async function ask(plan: Plan): Promise<Measured> {
  const nats = await NatsServers.start();
  const kefu = pair<AskOrder>(new URL('ask-process.ts', import.meta.url));
  const moleculer = pair<MoleculerOrder>(new URL('../peers/moleculer/ask-process.ts', import.meta.url));
  const results: Record<string, Asked[]> = {};
  let label = '';
  try {
    const { servers } = nats.options();
    for (const role of ['answerer', 'asker'] as const) {
      await kefu[role].ask({ do: 'join', nats: nats.options(), role });
      label = `Moleculer ${await moleculer[role].ask<string>({ do: 'join', servers, role })}`;
    }
    const one = (how: How, load: Load, ms: number): Promise<Asked> =>
      how === 'JSON' || how === 'NotePack'
        ? moleculer.asker.ask<Asked>({ do: 'ask', serializer: how, load, ms })
        : kefu.asker.ask<Asked>({ do: 'ask', how, load, ms });
    for (const how of ways) await one(how, { inFlight: 16 }, plan.askMs / 2);
    for (let round = 0; round < plan.rounds; round += 1)
      for (const inFlight of depths)
        for (const how of ways)
          (results[`${how} ${inFlight}`] ??= []).push(await one(how, { inFlight }, plan.askMs));
    for (const peer of peers) {
      const perSecond = Math.round(median(bestOf(peer, results)) / 2);
      for (let round = 0; round < plan.rounds; round += 1)
        for (const how of ['actor', peer] as const)
          (results[`${how} at half of ${peer}`] ??= []).push(await one(how, { perSecond }, plan.askMs));
    }
  } finally {
    for (const { asker, answerer } of [kefu, moleculer]) {
      asker.close();
      answerer.close();
    }
    await nats.stop();
  }
  const answered = Object.values(results).flat();
  const count = answered.reduce((sum, it) => sum + it.count, 0);
  return {
    rows: depths
      .flatMap((depth) => [
        ...rowsOf(depth, results),
        ...peers.flatMap((serializer) => moleculerRows(depth, serializer, results, label)),
      ])
      .concat(peers.flatMap((peer) => bestRows(peer, results, label))),
    results,
    work: `${count.toLocaleString('en')} questions asked and answered, each compared`,
  };
}

type How = AskKind | 'JSON' | 'NotePack';
const ways: readonly How[] = ['bare', 'actor', 'JSON', 'NotePack'];
const peers = ['JSON', 'NotePack'] as const;
const depths = [1, 16, 128];
type Results = Readonly<Record<string, readonly Asked[]>>;

function pair<Order extends object>(file: URL): Record<'asker' | 'answerer', Helper<Order>> {
  return { asker: new Helper<Order>(file), answerer: new Helper<Order>(file) };
}

function rowsOf(depth: number, results: Results): Row[] {
  const actor = results[`actor ${depth}`]!;
  const bare = results[`bare ${depth}`]!;
  const row = (name: string, of: (it: Asked) => number, digits: number): Row => [
    name,
    spread(actor.map(of), digits),
    spread(bare.map(of), digits),
    none,
  ];
  return [
    row(`cross-node ask, ${depth} in flight, p50, ms`, (it) => it.p50Ms, 3),
    row('… p99, ms', (it) => it.p99Ms, 3),
    row('… asks/s', (it) => it.perSecond, 0),
    ['… p50 against bare NATS', times(actor, bare, (it) => it.p50Ms), '1x', '1.5x'],
    ['… p99 against bare NATS', times(actor, bare, (it) => it.p99Ms), '1x', '2x'],
  ];
}

function moleculerRows(
  depth: number,
  serializer: 'JSON' | 'NotePack',
  results: Results,
  label: string,
): Row[] {
  const actor = results[`actor ${depth}`]!;
  const peer = results[`${serializer} ${depth}`]!;
  const name = `${label} over NATS, ${serializer}`;
  const one = (of: (it: Asked) => number, digits: number, unit: string): string =>
    `1x = ${spread(peer.map(of), digits)}${unit}`;
  return [
    [
      `… asks/s against ${name}`,
      times(actor, peer, (it) => it.perSecond),
      one((it) => it.perSecond, 0, '/s'),
      none,
    ],
    [`… p50 against ${name}`, times(actor, peer, (it) => it.p50Ms), one((it) => it.p50Ms, 3, ' ms'), none],
    [`… p99 against ${name}`, times(actor, peer, (it) => it.p99Ms), one((it) => it.p99Ms, 3, ' ms'), none],
  ];
}

/** Asks a second of each round, at the depth where it does most. */
function bestOf(how: How, results: Results): readonly number[] {
  const rates = depths.map((depth) => results[`${how} ${depth}`]!.map((it) => it.perSecond));
  return rates.reduce((best, it) => (median(it) > median(best) ? it : best));
}

/** What a peer can do at most, and how long an answer takes at the half of that. */
function bestRows(peer: (typeof peers)[number], results: Results, label: string): Row[] {
  const name = `${label} over NATS, ${peer}`;
  const [ours, theirs] = [bestOf('actor', results), bestOf(peer, results)];
  const ratio = spread(
    ours.map((it, round) => it / theirs[round]!),
    2,
  );
  const half = results[`actor at half of ${peer}`]!;
  const its = results[`${peer} at half of ${peer}`]!;
  const p99 = (of: readonly Asked[]): string =>
    spread(
      of.map((it) => it.p99Ms),
      3,
    );
  return [
    [`asks/s, whatever is in flight, against ${name}`, `${ratio} ×`, `1x = ${spread(theirs)}/s`, '2x'],
    [
      `… p99 at half of its best, ${Math.round(median(theirs) / 2).toLocaleString('en')}/s`,
      `${times(half, its, (it) => it.p99Ms)} = ${p99(half)} ms`,
      `1x = ${p99(its)} ms`,
      '0.5x',
    ],
  ];
}

/** Of each round by itself: what the machine did meanwhile is in both. */
function times(ours: readonly Asked[], theirs: readonly Asked[], of: (it: Asked) => number): string {
  const ratios = ours.map((it, round) => of(it) / of(theirs[round]!));
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return `${median(ratios).toFixed(2)}x${ratios.length > 1 ? ` (${range})` : ''}`;
}
