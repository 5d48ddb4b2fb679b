import { closedLoop, openLoop, talkUntilGone } from './load.ts';
import { openPairs, type Pairs, type Target } from './pairs.ts';

/** The load generator's process: does what it is told by messages, and answers each with its result. */
export type Order =
  | {
      readonly do: 'open';
      readonly target: Target;
      readonly ports: readonly number[];
      readonly pairs: number;
      /** Of what is said; default: a sentence. */
      readonly bytes?: number;
    }
  | {
      readonly do: 'closed';
      readonly target: Target;
      readonly inFlight: number;
      readonly warmMs: number;
      readonly runMs: number;
    }
  /** Talks until the node is gone. */
  | { readonly do: 'stop'; readonly inFlight: number }
  | {
      readonly do: 'rate';
      readonly target: Target;
      readonly perSecond: number;
      readonly warmMs: number;
      readonly runMs: number;
    }
  | { readonly do: 'check'; readonly target: Target };

/** What was done in all, for the checksum. */
export interface Work {
  readonly said: number;
  readonly acked: number;
  readonly delivered: number;
  readonly compared: number;
  /** The last seq that each side of a session has seen, both the same. */
  readonly lastSeq: Readonly<Record<string, number>>;
}

const open = new Map<Target, Pairs>();

async function obey(order: Order): Promise<unknown> {
  if (order.do === 'open') {
    open.set(order.target, await openPairs(order.target, order.ports, order.pairs, order.bytes));
    return undefined;
  }
  const pairs = open.get(order.do === 'stop' ? 'kefu' : order.target);
  if (pairs === undefined) throw new Error('open first');
  if (order.do === 'closed') return closedLoop(pairs, order.inFlight, order.warmMs, order.runMs);
  if (order.do === 'rate') return openLoop(pairs, order.perSecond, order.warmMs, order.runMs);
  if (order.do === 'stop') return talkUntilGone(pairs, order.inFlight);
  return check(pairs);
}

function check(pairs: Pairs): Work {
  const { said, acked, delivered, compared } = pairs.tally;
  const lastSeq: Record<string, number> = {};
  for (const { session, lastSeq: seq } of pairs.sides) {
    if (lastSeq[session] !== undefined && lastSeq[session] !== seq)
      throw new Error(`the two sides of ${session} end at ${lastSeq[session]} and ${seq}`);
    lastSeq[session] = seq;
  }
  return { said, acked, delivered, compared, lastSeq };
}

process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
