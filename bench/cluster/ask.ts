import { NatsServers } from '../../test/support/nats.ts';
import type { MoleculerOrder } from '../peers/moleculer/ask-process.ts';
import { Helper } from '../support/helper.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { AskKind, AskOrder } from './ask-process.ts';
import type { Asked } from './asking.ts';
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
    const one = (how: How, inFlight: number, ms: number): Promise<Asked> =>
      how === 'JSON' || how === 'NotePack'
        ? moleculer.asker.ask<Asked>({ do: 'ask', serializer: how, inFlight, ms })
        : kefu.asker.ask<Asked>({ do: 'ask', how, inFlight, ms });
    for (const how of ways) await one(how, 16, plan.askMs / 2);
    for (let round = 0; round < plan.rounds; round += 1)
      for (const inFlight of depths)
        for (const how of ways)
          (results[`${how} ${inFlight}`] ??= []).push(await one(how, inFlight, plan.askMs));
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
    rows: depths.flatMap((depth) => [
      ...rowsOf(depth, results),
      ...(['JSON', 'NotePack'] as const).flatMap((serializer) =>
        moleculerRows(depth, serializer, results, label),
      ),
    ]),
    results,
    work: `${count.toLocaleString('en')} questions asked and answered, each compared`,
  };
}

type How = AskKind | 'JSON' | 'NotePack';
const ways: readonly How[] = ['bare', 'actor', 'JSON', 'NotePack'];
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
      '2x',
    ],
    [`… p50 against ${name}`, times(actor, peer, (it) => it.p50Ms), one((it) => it.p50Ms, 3, ' ms'), none],
    [`… p99 against ${name}`, times(actor, peer, (it) => it.p99Ms), one((it) => it.p99Ms, 3, ' ms'), '0.5x'],
  ];
}

/** Of each round by itself: what the machine did meanwhile is in both. */
function times(ours: readonly Asked[], theirs: readonly Asked[], of: (it: Asked) => number): string {
  const ratios = ours.map((it, round) => of(it) / of(theirs[round]!));
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return `${median(ratios).toFixed(2)}x${ratios.length > 1 ? ` (${range})` : ''}`;
}
