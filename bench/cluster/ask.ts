import { NatsServers } from '../../test/support/nats.ts';
import { Helper } from '../support/helper.ts';
import { median, none, spread, type Row } from '../support/report.ts';
import type { Asked, AskKind, AskOrder } from './ask-process.ts';
import type { Measured, Plan } from './plan.ts';

/**
 * An ask to an actor of another process by the real router and wire, against a request of bare NATS with the same
 * bytes between the same two processes over the same connections, in turn.
 */
export async function ask(plan: Plan): Promise<Measured> {
  const nats = await NatsServers.start();
  const file = new URL('ask-process.ts', import.meta.url);
  const [asker, answerer] = [new Helper<AskOrder>(file), new Helper<AskOrder>(file)];
  const results: Record<string, Asked[]> = {};
  try {
    await answerer.ask({ do: 'join', nats: nats.options(), role: 'answerer' });
    await asker.ask({ do: 'join', nats: nats.options(), role: 'asker' });
    const one = async (how: AskKind, inFlight: number, ms: number): Promise<Asked> =>
      asker.ask<Asked>({ do: 'ask', how, inFlight, ms });
    for (const how of kinds) await one(how, 16, plan.askMs / 2);
    for (let round = 0; round < plan.rounds; round += 1)
      for (const inFlight of depths)
        for (const how of kinds)
          (results[`${how} ${inFlight}`] ??= []).push(await one(how, inFlight, plan.askMs));
  } finally {
    asker.close();
    answerer.close();
    await nats.stop();
  }
  const answered = Object.values(results).flat();
  const count = answered.reduce((sum, it) => sum + it.count, 0);
  return {
    rows: depths.flatMap((depth) => rowsOf(depth, results)),
    results,
    work: `${count.toLocaleString('en')} questions asked and answered, each compared`,
  };
}

const kinds: readonly AskKind[] = ['bare', 'actor'];
const depths = [1, 16];

function rowsOf(depth: number, results: Readonly<Record<string, readonly Asked[]>>): Row[] {
  const actor = results[`actor ${depth}`]!;
  const bare = results[`bare ${depth}`]!;
  const row = (name: string, of: (it: Asked) => number, digits: number): Row => [
    name,
    spread(actor.map(of), digits),
    spread(bare.map(of), digits),
    none,
  ];
  /** Of each round by itself: what the machine did meanwhile is in both. */
  const times = (of: (it: Asked) => number): string =>
    `${median(actor.map((it, round) => of(it) / of(bare[round]!))).toFixed(2)}x`;
  return [
    row(`cross-node ask, ${depth} in flight, p50, ms`, (it) => it.p50Ms, 3),
    row('… p99, ms', (it) => it.p99Ms, 3),
    row('… asks/s', (it) => it.perSecond, 0),
    ['… p50 against bare NATS', times((it) => it.p50Ms), '1x', '1.5x'],
    ['… p99 against bare NATS', times((it) => it.p99Ms), '1x', '2x'],
  ];
}
