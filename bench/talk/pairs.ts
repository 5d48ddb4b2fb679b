import { randomUUID } from 'node:crypto';
import { Histogram } from '../../src/stress/histogram.ts';
import { meet } from '../support/meet.ts';
import { inParallel } from '../support/node.ts';
import { RawClient } from '../../src/stress/raw-client.ts';
import { Side, type Tally } from './side.ts';

/** Pairs of a customer and an agent, a session each; both sides talk. */
export interface Pairs {
  readonly sides: readonly Side[];
  readonly tally: Tally;
  readonly stopPings: () => void;
}

/** Of a kefu node, by its contract; or of the bare peer, which knows sessions only. */
export type Target = 'kefu' | 'bare';

const pingEveryMs = 20_000;

/** The clients are spread over `ports`, those of several nodes of a cluster. */
export async function openPairs(target: Target, ports: readonly number[], count: number): Promise<Pairs> {
  const tally: Tally = {
    said: 0,
    acked: 0,
    delivered: 0,
    faults: 0,
    firstFault: '',
    compared: 0,
    open: 0,
    latency: new Histogram(),
    onAck: () => undefined,
    onRefused: undefined,
  };
  const sides =
    target === 'kefu' ? await openKefu(ports, count, tally) : await openBare(ports[0]!, count, tally);
  const timer = setInterval(() => {
    for (const { client } of sides) client.send({ t: 'ping' });
  }, pingEveryMs);
  return { sides, tally, stopPings: () => clearInterval(timer) };
}

async function openKefu(ports: readonly number[], count: number, tally: Tally): Promise<Side[]> {
  const met = await meet(ports, count);
  return met.map(({ client, session, lastSeq }) => new Side(client, session, lastSeq, tally));
}

/** The first eight digits count up: the peer's threads get as many sessions each. */
async function openBare(port: number, count: number, tally: Tally): Promise<Side[]> {
  const sessions = Array.from({ length: count }, (_, number) =>
    randomUUID().replace(/^.{8}/, number.toString(16).padStart(8, '0')),
  );
  const both = sessions.flatMap((session) => [session, session]);
  return inParallel(both, 8, async (session) => {
    const client = await RawClient.connect(port);
    const ready = client.next('"t":"ready"');
    client.send({ t: 'hello', session });
    await ready;
    return new Side(client, session, 0, tally);
  });
}
