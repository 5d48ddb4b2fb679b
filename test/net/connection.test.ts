import t from 'tap';
import { until } from '../../scripts/processes.ts';
import type { Connected } from '../../src/actors/messages.ts';
import { KefuError, refusal } from '../../src/core/errors.ts';
import { jsonCodec } from '../../src/net/codec.ts';
import { Connection, type ConnectionHost } from '../../src/net/connection.ts';
import type { Snapshot } from '../../src/net/subscription.ts';
import type { Actor } from '../../src/rules/session.ts';

const agent = '01920000-0000-7000-8000-0000000000aa';
const session = '01920000-0000-7000-8000-000000000001';
const who: Actor = { kind: 'agent', id: agent, name: 'Ann', role: 'agent', groups: ['support'] };

type Greeting = Awaited<ReturnType<ConnectionHost['requests']['greet']>>;

/** A connection of an agent whose greeting ends when the test says so. */
function greeted() {
  const sent: { t: string; code?: string; reason?: string }[] = [];
  const told: object[] = [];
  const left: string[] = [];
  const compared: (readonly string[])[] = [];
  let greetings = 0;
  let answer!: (greeting: Greeting) => void;
  let refuse!: (error: KefuError) => void;
  const requests = {
    greet: () =>
      new Promise<Greeting>((resolve, reject) => {
        greetings += 1;
        answer = resolve;
        refuse = reject;
      }),
    reconnect: (_who: Actor, _peer: object, held: readonly string[]) => {
      compared.push(held);
      return Promise.resolve({ profile: {}, sessions: [session] } as unknown as Connected);
    },
    leave: (id: string) => void left.push(id),
  };
  const host = {
    thread: 'n1/0',
    system: { ref: () => ({ tell: (message: object) => told.push(message) > 0 }) },
    requests,
    limits: { frameBytes: 65_536, heartbeatMs: 25_000, messagesPerSecond: 0, outputBytes: 65_536 },
    announced: {},
    verify: () => Promise.resolve({ identity: { kind: 'agent', id: agent }, expiresAtMs: Infinity }),
    count: () => undefined,
  } as unknown as ConnectionHost;
  const socket = {
    send: (data: string | Uint8Array) => sent.push(JSON.parse(String(data)) as { t: string }) > 0,
    buffered: () => 0,
    cork: (work: () => void) => work(),
    close: () => undefined,
  };
  const connection = new Connection(1, host, socket, jsonCodec, 0);
  const hello = async (): Promise<void> => {
    const before = greetings;
    const bytes = new TextEncoder().encode(JSON.stringify({ t: 'hello', token: 'x' }));
    connection.receive(bytes.buffer, false, 0);
    await until('the greeting', () => greetings > before, waitMs);
  };
  const ready = (sessions: string[] = []): void => answer({ who, me: {}, sessions });
  const types = (): string => sent.map(({ t }) => t).join();
  /** As far as: its actor says that it has the session, which is asked for. */
  const asking = async (): Promise<void> => {
    await hello();
    ready([session]);
    await until('what is told', () => told.length > 0, waitMs);
  };
  /** As far as: the session says so too. */
  const holding = async (): Promise<void> => {
    await asking();
    connection.follower.snapshot(session, snapshotOf('chatting', 3));
    await until('ready', () => types() === 'ready', waitMs);
  };
  return {
    asking,
    holding,
    connection,
    sent,
    types,
    told,
    left,
    compared,
    hello,
    ready,
    refuse: (error: KefuError) => refuse(error),
  };
}

/** What a session answers to who subscribes, when it has `head` events. */
function snapshotOf(state: 'chatting' | 'closed', head: number, holder = agent) {
  const view = { id: session, state, agent: { id: holder, name: 'Ann' }, customer: { id: 'c' } };
  return { view, events: [], from: head, head, reset: false, marks: {} } as unknown as Snapshot;
}

const waitMs = 5000;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('what an agent is assigned before it was greeted is asked for after that', async (t) => {
  const { connection, sent, told, hello, ready } = greeted();
  await hello();
  connection.assigned(session);
  t.same(told, [], 'nobody is subscribed before it is known who that is');
  ready();
  await until('what is told', () => told.length > 0, waitMs);
  t.equal(sent[0]!.t, 'ready', 'and nothing comes before ready');
  t.match(told, [{ type: 'subscribe', who: { id: agent }, after: 'tail' }]);
});

t.test(
  'an agent’s actor is told of a connection that was not greeted, for it may hear of it late',
  async (t) => {
    const { connection, sent, left, hello, refuse } = greeted();
    await hello();
    refuse(new KefuError('unavailable', 'not now'));
    await until('a frame', () => sent.length > 0, waitMs);
    t.match(sent, [{ t: 'error', code: 'unavailable' }]);
    t.same(left, [agent]);

    await hello();
    connection.closed();
    t.same(left, [agent], 'its answer is waited for');
    refuse(new KefuError('unavailable', 'not now'));
    await until('both words', () => left.length === 2, waitMs);
    t.same(left, [agent, agent]);
  },
);

t.test('what ended before it was followed is not kept for its agent', async (t) => {
  const { connection, sent, types, told, asking } = greeted();
  await asking();
  connection.follower.snapshot(session, snapshotOf('closed', 9));
  await until('2 frames', () => sent.length >= 2, waitMs);
  t.equal(types(), 'ready,released');
  t.equal(sent[1]!.reason, 'closed');
  t.match(told.at(-1), { type: 'unsubscribe' });

  connection.assigned(session);
  connection.follower.snapshot(session, snapshotOf('chatting', 11, 'another'));
  await until('what is told', () => told.length >= 4, waitMs);
  t.equal(types(), 'ready,released', 'nor is it told of one that was passed on meanwhile');
});

t.test('what is released while it is asked for is told and taken back', async (t) => {
  const { connection, sent, types, hello, ready } = greeted();
  await hello();
  ready();
  await until('a frame', () => sent.length > 0, waitMs);
  connection.assigned(session);
  connection.follower.released(session, 'transferred', 4);
  connection.follower.snapshot(session, snapshotOf('chatting', 4));
  await until('3 frames', () => sent.length >= 3, waitMs);
  t.equal(types(), 'ready,assigned,released');
});

t.test('every 20 seconds what an agent was told is compared with what its actor knows', async (t) => {
  const { connection, compared, holding } = greeted();
  await holding();
  for (let count = 0; count < 40; count += 1) connection.tick(count);
  t.same(compared, [[session], [session]]);
});

t.test('an agent lets go of what it may not see any more, and does not ask for ever', async (t) => {
  const { connection, sent, told, holding } = greeted();
  await holding();
  connection.restarted((kind) => kind === 'session');
  let asked = 0;
  for (let before = 0; before < told.length && asked < 1000; asked += 1) {
    before = told.length;
    connection.follower.missed(session, refusal('not_found', 'there is no such session'));
  }
  t.ok(asked < 20, `${asked} times`);
  t.match(sent.at(-1), { t: 'released', session, reason: 'moved' });
});

t.test('what could not be had is asked for again, and what was not answered after a while', async (t) => {
  const { connection, told, asking } = greeted();
  await asking();
  const asked = (): number => told.filter((it) => (it as { type: string }).type === 'subscribe').length;
  const tick = (count: number): void => {
    for (let ticks = 0; ticks < count; ticks += 1) connection.follower.tick();
  };
  tick(4);
  t.equal(asked(), 1);
  tick(1);
  t.equal(asked(), 2, 'the first snapshot did not come for 5 ticks');
  connection.follower.snapshot(session, snapshotOf('chatting', 3));
  await turn();
  tick(20);
  t.equal(asked(), 2, 'nothing is waited for');
  connection.follower.headIs(session, 4);
  t.match(told.at(-1), { type: 'replay', after: 3 });
  connection.follower.missed(session, refusal('unavailable', 'not now'));
  tick(1);
  t.equal(asked(), 3, 'it could not be had');
});
