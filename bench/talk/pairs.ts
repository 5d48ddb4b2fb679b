import { randomUUID } from 'node:crypto';
import { Histogram } from '../support/histogram.ts';
import { inParallel, post } from '../support/node.ts';
import { RawClient } from '../support/raw-client.ts';
import { Side, type Tally } from './side.ts';

/** Pairs of a customer and an agent, a session each; both sides talk. */
export interface Pairs {
  readonly port: number;
  readonly sides: readonly Side[];
  readonly tally: Tally;
  readonly stopPings: () => void;
}

/** Of a kefu node, by its contract; or of the bare peer, which knows sessions only. */
export type Target = 'kefu' | 'bare';

const pingEveryMs = 20_000;

export async function openPairs(target: Target, port: number, count: number): Promise<Pairs> {
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
  const sides = target === 'kefu' ? await openKefu(port, count, tally) : await openBare(port, count, tally);
  const timer = setInterval(() => {
    for (const { client } of sides) client.send({ t: 'ping' });
  }, pingEveryMs);
  return { port, sides, tally, stopPings: () => clearInterval(timer) };
}

/** Each agent has room for one session, so every pair gets its own. */
async function openKefu(port: number, count: number, tally: Tally): Promise<Side[]> {
  const admin = await post<{ token: string }>(port, '/v1/login', {
    email: 'admin@demo.kefu',
    password: 'demo',
  });
  const stamp = Date.now().toString(36);
  const numbers = Array.from({ length: count }, (_, number) => number);
  const agents = await inParallel(numbers, 4, async (number) => {
    const email = `bench-${stamp}-${number}@demo.kefu`;
    const fields = { email, name: `Bench ${number}`, password: 'demo', groups: ['support'], capacity: 1 };
    await post(port, '/v1/agents', fields, admin.token);
    return (await post<{ token: string }>(port, '/v1/login', { email, password: 'demo' })).token;
  });
  const sides: Side[] = [];
  await inParallel(agents, 8, async (token) => {
    const agent = await greet(port, token);
    const assigned = agent.next('"t":"assigned"') as Promise<{ session: { id: string; last_seq: number } }>;
    agent.send({ t: 'presence', ref: 1, state: 'online' });
    const customer = await greet(port, await newCustomer(port));
    const mine = customer.next('"type":"assigned"') as Promise<{ session: string; seq: number }>;
    customer.send({ t: 'open', ref: 1 });
    // Who of those that wait meets whom is the queue's business: each side learns its own session.
    const [ofAgent, ofCustomer] = await Promise.all([assigned, mine]);
    sides.push(new Side(agent, ofAgent.session.id, ofAgent.session.last_seq, tally));
    sides.push(new Side(customer, ofCustomer.session, ofCustomer.seq, tally));
  });
  return sides;
}

async function newCustomer(port: number): Promise<string> {
  return (await post<{ token: string }>(port, '/v1/visitors', { name: 'Bench' })).token;
}

export async function greet(port: number, token: string, localAddress?: string): Promise<RawClient> {
  const client = await RawClient.connect(port, localAddress);
  const ready = client.next('"t":"ready"');
  client.send({ t: 'hello', token });
  await ready;
  return client;
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
