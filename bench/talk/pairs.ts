import { randomUUID } from 'node:crypto';
import { meet } from '../support/meet.ts';
import { inParallel } from '../support/node.ts';
import { RawClient } from '../../src/stress/raw-client.ts';
import { KefuSide } from './kefu-side.ts';
import { newTally, text, type Side, type Tally } from './side.ts';
import { joinEjabberd } from '../peers/ejabberd/side.ts';
import type { PeerName } from '../peers/peer.ts';
import { joinSocketIo } from '../peers/socket-io/side.ts';

/** Pairs of a customer and an agent, a session each; both sides talk. */
export interface Pairs {
  readonly sides: readonly Side[];
  readonly tally: Tally;
  readonly stopPings: () => void;
}

/** Of a kefu node, by its contract; or of a peer, which knows sessions only. */
export type Target = 'kefu' | PeerName;

const pingEveryMs = 20_000;

/** The clients are spread over `ports`, those of several nodes of a cluster. `bytes`: of what is said; default: a sentence. */
export async function openPairs(
  target: Target,
  ports: readonly number[],
  count: number,
  bytes?: number,
): Promise<Pairs> {
  const tally = newTally();
  const sides = await openSides(target, ports, count, tally, bytes);
  const timer = setInterval(() => {
    if (target === 'kefu') for (const { client } of sides) client.send({ t: 'ping' });
  }, pingEveryMs);
  return { sides, tally, stopPings: () => clearInterval(timer) };
}

async function openSides(
  target: Target,
  ports: readonly number[],
  count: number,
  tally: Tally,
  bytes: number | undefined,
): Promise<Side[]> {
  if (target === 'kefu') {
    const met = await meet(ports, count);
    const what =
      bytes === undefined
        ? text
        : text
            .repeat(bytes)
            .slice(0, bytes)
            .replace(/[^ -~]/g, '.');
    return met.map(
      ({ client, session, lastSeq }) => new KefuSide(client, session, lastSeq, tally, true, what),
    );
  }
  const port = ports[0]!;
  const numbers = Array.from({ length: 2 * count }, (_, number) => number);
  if (target === 'ejabberd') return inParallel(numbers, 8, (number) => joinEjabberd(port, number, tally));
  // The first eight digits count up: the bare peer's threads get as many sessions each.
  const sessions = Array.from({ length: count }, (_, number) =>
    randomUUID().replace(/^.{8}/, number.toString(16).padStart(8, '0')),
  );
  return inParallel(numbers, 8, (number) => {
    const session = sessions[number >> 1]!;
    return target === 'socket-io' || target === 'socket-io-batch'
      ? joinSocketIo(port, session, tally)
      : joinSession(port, session, tally, target === 'bare');
  });
}

async function joinSession(port: number, session: string, tally: Tally, follows: boolean): Promise<Side> {
  const client = await RawClient.connect(port);
  const ready = client.next('"t":"ready"');
  client.send({ t: 'hello', session });
  await ready;
  return new KefuSide(client, session, 0, tally, follows);
}
