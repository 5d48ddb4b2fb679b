import { inParallel, post } from './node.ts';
import { RawClient } from '../../src/stress/raw-client.ts';

/** One side of an open session, connected. */
export interface Met {
  readonly kind: 'customer' | 'agent';
  readonly token: string;
  readonly client: RawClient;
  /** Where it is connected. */
  readonly port: number;
  readonly session: string;
  /** The last event that it has. */
  readonly lastSeq: number;
}

/**
 * Opens `count` sessions, each with an agent of its own, since these have room for one. Clients are spread over
 * `ports`: a customer and an agent who come together connect to different nodes, if there are several.
 */
export async function meet(ports: readonly number[], count: number): Promise<Met[]> {
  const portOf = (number: number): number => ports[number % ports.length]!;
  const admin = await post<{ token: string }>(ports[0]!, '/v1/login', {
    email: 'admin@demo.kefu',
    password: 'demo',
  });
  const stamp = Date.now().toString(36);
  const numbers = Array.from({ length: count }, (_, number) => number);
  const agents = await inParallel(numbers, 4, async (number) => {
    const email = `bench-${stamp}-${number}@demo.kefu`;
    const fields = { email, name: `Bench ${number}`, password: 'demo', groups: ['support'], capacity: 1 };
    await post(portOf(number), '/v1/agents', fields, admin.token);
    return (await post<{ token: string }>(portOf(number), '/v1/login', { email, password: 'demo' })).token;
  });
  const all: Met[] = [];
  await inParallel(numbers, 8, async (number) => {
    const [port, otherPort] = [portOf(number), portOf(number + 1)];
    const token = agents[number]!;
    const agent = await greet(port, token);
    const assigned = agent.next('"t":"assigned"') as Promise<{ session: { id: string; last_seq: number } }>;
    agent.send({ t: 'presence', ref: 1, state: 'online' });
    const visitor = await post<{ token: string }>(otherPort, '/v1/visitors', { name: 'Bench' });
    const customer = await greet(otherPort, visitor.token);
    const mine = customer.next('"type":"assigned"') as Promise<{ session: string; seq: number }>;
    customer.send({ t: 'open', ref: 1 });
    // Who of those that wait meets whom is the queue's business: each side learns its own session.
    const [{ session }, ofCustomer] = await Promise.all([assigned, mine]);
    all.push(
      { kind: 'agent', token, client: agent, port, session: session.id, lastSeq: session.last_seq },
      {
        kind: 'customer',
        token: visitor.token,
        client: customer,
        port: otherPort,
        session: ofCustomer.session,
        lastSeq: ofCustomer.seq,
      },
    );
  });
  return all;
}

export async function greet(port: number, token: string, localAddress?: string): Promise<RawClient> {
  const client = await RawClient.connect(port, localAddress);
  const ready = client.next('"t":"ready"');
  client.send({ t: 'hello', token });
  await ready;
  return client;
}
