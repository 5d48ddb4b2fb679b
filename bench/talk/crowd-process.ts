import { greet } from '../support/meet.ts';
import { inParallel, post } from '../support/node.ts';
import { frameOf, type RawClient } from '../../src/stress/raw-client.ts';

/** Part of a crowd: connected customers, each with an open session, who keep still. */
export type CrowdOrder =
  | {
      readonly port: number;
      readonly count: number;
      /** The last part of their 127.0.0.x address. */
      readonly address: number;
    }
  | { readonly ask: 'connected' };

const clients: RawClient[] = [];
const ping = frameOf('{"t":"ping"}');

async function obey(order: CrowdOrder): Promise<number> {
  if ('ask' in order) return clients.filter((client) => !client.closed).length;
  await inParallel(Array.from({ length: order.count }), 16, async () => {
    const { token } = await post<{ token: string }>(order.port, '/v1/visitors', { name: 'Crowd' });
    const client = await greet(order.port, token, `127.0.0.${order.address}`);
    const opened = client.next('"t":"opened"');
    client.send({ t: 'open', ref: 1 });
    await opened;
    clients.push(client);
  });
  return clients.length;
}

// As clients must, spread over the heartbeat of 25 s.
let place = 0;
setInterval(() => {
  for (let count = 0; count < clients.length / 20; count += 1) {
    place = (place + 1) % clients.length;
    clients[place]!.sendFrame(ping);
  }
}, 1000);

process.on('message', (order: CrowdOrder) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
