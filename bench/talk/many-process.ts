import { greet } from '../support/meet.ts';
import { inParallel, post } from '../support/node.ts';
import { until } from '../../scripts/processes.ts';
import { AgentSide } from './agent-side.ts';
import { closedLoop } from './load.ts';
import { newTally } from './side.ts';

/** Agents with many open sessions each, in a process of their own. */
export type ManyOrder =
  | { readonly do: 'agents'; readonly port: number; readonly count: number; readonly capacity: number }
  /** Until there are so many in all. */
  | { readonly do: 'sessions'; readonly port: number; readonly count: number }
  | {
      readonly do: 'talk';
      readonly inFlight: number;
      /** In so many sessions of all. */
      readonly sessions: number;
      readonly warmMs: number;
      readonly runMs: number;
    }
  | { readonly do: 'check' };

const tally = newTally();
const sides: AgentSide[] = [];
const assignMs = 120_000;

async function obey(order: ManyOrder): Promise<unknown> {
  switch (order.do) {
    case 'agents':
      return openAgents(order.port, order.count, order.capacity);
    case 'sessions': {
      const missing = order.count - assigned();
      await inParallel(Array.from({ length: missing }), 32, async () => {
        const { token } = await post<{ token: string }>(order.port, '/v1/visitors', { name: 'Many' });
        await post(order.port, '/v1/sessions', {}, token);
      });
      await until('every session has its agent', () => assigned() === order.count, assignMs);
      return undefined;
    }
    case 'talk':
      for (const side of sides) side.spread = Math.max(1, Math.ceil(order.sessions / sides.length));
      return closedLoop(
        { sides, tally, stopPings: () => undefined },
        order.inFlight,
        order.warmMs,
        order.runMs,
      );
    case 'check':
      if (tally.faults > 0) throw new Error(tally.firstFault);
      return { acked: tally.acked, lastSeqs: sides.flatMap((side) => side.lastSeqs().slice(0, 2)) };
  }
}

const assigned = (): number => sides.reduce((sum, side) => sum + side.count, 0);

async function openAgents(port: number, count: number, capacity: number): Promise<void> {
  const login = { email: 'admin@demo.kefu', password: 'demo' };
  const { token } = await post<{ token: string }>(port, '/v1/login', login);
  const numbers = Array.from({ length: count }, (_, number) => number);
  await inParallel(numbers, 4, async (number) => {
    const email = `many-${number}@demo.kefu`;
    const fields = { email, name: `Many ${number}`, password: 'demo', groups: ['support'], capacity };
    await post(port, '/v1/agents', fields, token);
    const agent = await post<{ token: string }>(port, '/v1/login', { email, password: 'demo' });
    const side = new AgentSide(await greet(port, agent.token), tally);
    sides.push(side);
    side.client.send({ t: 'presence', ref: 1, state: 'online' });
  });
}

setInterval(() => {
  for (const { client } of sides) client.send({ t: 'ping' });
}, 20_000);

process.on('message', (order: ManyOrder) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
