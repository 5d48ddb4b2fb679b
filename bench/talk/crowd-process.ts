import { inParallel, post } from '../support/node.ts';
import { RawClient } from '../support/raw-client.ts';

/** Part of a crowd: connected customers, each with an open session, who keep still. */
interface Order {
  readonly port: number;
  readonly count: number;
  /** The last part of their 127.0.0.x address: one address has too few ports. */
  readonly address: number;
}

const clients: RawClient[] = [];
let pinging: NodeJS.Timeout | undefined;

process.on('message', (order: Order) => {
  inParallel(Array.from({ length: order.count }), 16, async () => {
    const { token } = await post<{ token: string }>(order.port, '/v1/visitors', { name: 'Crowd' });
    const client = await RawClient.connect(order.port, `127.0.0.${order.address}`);
    const ready = client.next('"t":"ready"');
    client.send(JSON.stringify({ t: 'hello', token }));
    await ready;
    const opened = client.next('"t":"opened"');
    client.send(JSON.stringify({ t: 'open', ref: 1 }));
    await opened;
    clients.push(client);
  }).then(
    () => {
      // As clients must; spread over the heartbeat.
      let place = 0;
      pinging = setInterval(() => {
        for (let n = 0; n < clients.length / 20; n += 1)
          clients[(place += 1) % clients.length]!.send('{"t":"ping"}');
      }, 1000);
      process.send!({ result: clients.length });
    },
    (error: Error) => process.send!({ error: error.stack }),
  );
});

process.on('disconnect', () => {
  clearInterval(pinging);
  for (const client of clients) client.close();
  process.exit(0);
});
