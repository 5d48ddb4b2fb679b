import { Histogram } from '../support/histogram.ts';
import { inParallel, post } from '../support/node.ts';
import { RawClient } from '../support/raw-client.ts';

/**
 * The load of bench/talk, a process of its own: pairs of a customer and an agent, a session each, both talking.
 * Counts a message when it was acked to its sender and delivered to the other side; checks each socket's order.
 */
export interface LoadResult {
  readonly seconds: number;
  /** Acked and delivered. */
  readonly messages: number;
  readonly acked: number;
  readonly delivered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Frames out of order, lost or repeated: anything but 0 fails the run. */
  readonly faults: number;
}

interface Side {
  readonly client: RawClient;
  readonly session: string;
  lastSeq: number;
  sentAt: Map<string, number>;
}

export interface Pairs {
  readonly sides: Side[];
  readonly counts: { acked: number; delivered: number; faults: number };
  latency: Histogram;
  onAck: (side: Side) => void;
  readonly ackedIds: { session: string; seq: number }[] | undefined;
}

let nextId = 0;
const text = 'Is the blue one in stock in size 42, and when would it be here? 谢谢!';

/** Opens the pairs; each agent has room for one session, so every pair has its own. */
export async function openPairs(port: number, count: number, remember = false): Promise<Pairs> {
  const admin = await post<{ token: string }>(port, '/v1/login', { email: 'admin@demo.kefu', password: 'demo' });
  const stamp = Date.now().toString(36);
  const agents = await inParallel(Array.from({ length: count }, (_, n) => n), 4, async (n) => {
    const email = `bench-${stamp}-${n}@demo.kefu`;
    const fields = { email, name: `Bench ${n}`, password: 'demo', groups: ['support'], capacity: 1 };
    await post(port, '/v1/agents', fields, admin.token);
    return (await post<{ token: string }>(port, '/v1/login', { email, password: 'demo' })).token;
  });
  const pairs: Pairs = {
    sides: [],
    counts: { acked: 0, delivered: 0, faults: 0 },
    latency: new Histogram(),
    onAck: () => undefined,
    ackedIds: remember ? [] : undefined,
  };
  await inParallel(agents, 8, async (token) => {
    const agent = await greet(port, token);
    const assigned = agent.next('"t":"assigned"');
    agent.send(JSON.stringify({ t: 'presence', ref: 1, state: 'online' }));
    const visitor = await post<{ token: string }>(port, '/v1/visitors', { name: 'Bench' });
    const customer = await greet(port, visitor.token);
    const opening = customer.next('"type":"assigned"');
    customer.send(JSON.stringify({ t: 'open', ref: 1 }));
    // Agents and customers meet in any order: each side learns its own session.
    const [a, c] = (await Promise.all([assigned, opening])) as unknown as [
      { session: { id: string; last_seq: number } },
      { session: string; seq: number },
    ];
    follow(pairs, agent, a.session.id, a.session.last_seq);
    follow(pairs, customer, c.session, c.seq);
  });
  return pairs;
}

async function greet(port: number, token: string): Promise<RawClient> {
  const client = await RawClient.connect(port);
  const ready = client.next('"t":"ready"');
  client.send(JSON.stringify({ t: 'hello', token }));
  await ready;
  return client;
}

function follow(pairs: Pairs, client: RawClient, session: string, lastSeq: number): void {
  const side: Side = { client, session, lastSeq, sentAt: new Map() };
  pairs.sides.push(side);
  const { counts } = pairs;
  client.onText((frame) => {
    const isAck = frame.startsWith('{"t":"ack"');
    if (!isAck && !frame.startsWith('{"t":"event"')) {
      if (frame.startsWith('{"t":"error"')) counts.faults += 1;
      return;
    }
    const at = frame.indexOf('"seq":') + 6;
    const seq = Number.parseInt(frame.slice(at, at + 10), 10);
    if (seq !== side.lastSeq + 1) counts.faults += 1;
    side.lastSeq = seq;
    if (!isAck) {
      counts.delivered += 1;
      return;
    }
    counts.acked += 1;
    const start = frame.indexOf('"id":"') + 6;
    const id = frame.slice(start, frame.indexOf('"', start));
    const sent = side.sentAt.get(id);
    if (sent !== undefined) pairs.latency.add(performance.now() - sent);
    side.sentAt.delete(id);
    pairs.ackedIds?.push({ session, seq });
    pairs.onAck(side);
  });
}

function say(side: Side, sentAt: number): void {
  nextId += 1;
  const id = `m${process.pid}-${nextId}`;
  side.sentAt.set(id, sentAt);
  side.client.send(`{"t":"say","ref":1,"session":"${side.session}","id":"${id}","body":"${text}"}`);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function measure(pairs: Pairs): (seconds: number) => LoadResult {
  const { counts } = pairs;
  const before = { ...counts };
  pairs.latency = new Histogram();
  const started = performance.now();
  return () => {
    const seconds = (performance.now() - started) / 1000;
    const acked = counts.acked - before.acked;
    const delivered = counts.delivered - before.delivered;
    const { latency } = pairs;
    return {
      seconds,
      messages: Math.min(acked, delivered),
      acked,
      delivered,
      p50Ms: latency.percentile(0.5),
      p99Ms: latency.percentile(0.99),
      p999Ms: latency.percentile(0.999),
      faults: counts.faults,
    };
  };
}

/** Every socket keeps `inFlight` messages on their way. */
export async function closedLoop(pairs: Pairs, inFlight: number, warmMs: number, runMs: number): Promise<LoadResult> {
  let running = true;
  pairs.onAck = (side) => {
    if (running) say(side, performance.now());
  };
  for (const side of pairs.sides) for (let n = 0; n < inFlight; n += 1) say(side, performance.now());
  await pause(warmMs);
  const finish = measure(pairs);
  await pause(runMs);
  const result = finish(0);
  running = false;
  await settle(pairs);
  return { ...result, faults: pairs.counts.faults };
}

/** So many messages a second whatever comes back; latency counts from when each was due. */
export async function openLoop(pairs: Pairs, perSecond: number, warmMs: number, runMs: number): Promise<LoadResult> {
  pairs.onAck = () => undefined;
  const started = performance.now();
  let sent = 0;
  let place = 0;
  let finish: ((seconds: number) => LoadResult) | undefined;
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const now = performance.now();
      if (finish === undefined && now - started > warmMs) finish = measure(pairs);
      if (now - started > warmMs + runMs) return resolve();
      for (; sent < ((now - started) / 1000) * perSecond; sent += 1) {
        say(pairs.sides[place]!, started + (sent / perSecond) * 1000);
        place = (place + 1) % pairs.sides.length;
      }
      setTimeout(turn, 1);
    };
    turn();
  });
  const result = finish!(0);
  await settle(pairs);
  return { ...result, faults: pairs.counts.faults };
}

/** Waits until everything that was said was acked and delivered. */
async function settle(pairs: Pairs): Promise<void> {
  const until = performance.now() + 15_000;
  const open = (): boolean =>
    pairs.sides.some((side) => side.sentAt.size > 0) || pairs.counts.acked !== pairs.counts.delivered;
  while (open() && performance.now() < until) await pause(5);
  if (open()) pairs.counts.faults += 1;
}
