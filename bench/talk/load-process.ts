import { closedLoop, openLoop, openPairs } from './load.ts';

/** The load generator's process: told what to do by messages, answers each with its result. */
type Order =
  | { readonly do: 'open'; readonly port: number; readonly pairs: number }
  | { readonly do: 'closed'; readonly inFlight: number; readonly warmMs: number; readonly runMs: number }
  | { readonly do: 'rate'; readonly perSecond: number; readonly warmMs: number; readonly runMs: number };

let pairs: Awaited<ReturnType<typeof openPairs>> | undefined;

async function obey(order: Order): Promise<unknown> {
  if (order.do === 'open') {
    pairs = await openPairs(order.port, order.pairs);
    return { sides: pairs.sides.length };
  }
  if (pairs === undefined) throw new Error('open first');
  if (order.do === 'closed') return closedLoop(pairs, order.inFlight, order.warmMs, order.runMs);
  return openLoop(pairs, order.perSecond, order.warmMs, order.runMs);
}

process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
