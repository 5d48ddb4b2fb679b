import t from 'tap';
import type { Connected } from '../../src/actors/messages.ts';
import { KefuError } from '../../src/core/errors.ts';
import { jsonCodec } from '../../src/net/codec.ts';
import { Connection, type ConnectionHost } from '../../src/net/connection.ts';
import type { Actor } from '../../src/rules/session.ts';

const agent = '01920000-0000-7000-8000-0000000000aa';
const session = '01920000-0000-7000-8000-000000000001';
const who: Actor = { kind: 'agent', id: agent, name: 'Ann', role: 'agent', groups: ['support'] };

type Greeting = Awaited<ReturnType<ConnectionHost['requests']['greet']>>;

/** A connection of an agent whose greeting ends when the test says so. */
function greeted() {
  const sent: { t: string; code?: string }[] = [];
  const told: object[] = [];
  const left: string[] = [];
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
    reconnect: () => Promise.resolve({ profile: {}, sessions: [session] } as unknown as Connected),
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
    while (greetings === before) await turn();
  };
  const ready = (): void => answer({ who, me: {}, sessions: [] });
  return { connection, sent, told, left, hello, ready, refuse: (error: KefuError) => refuse(error) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('what an agent is assigned before it was greeted is asked for after that', async (t) => {
  const { connection, sent, told, hello, ready } = greeted();
  await hello();
  connection.assigned(session);
  t.same(told, [], 'nobody is subscribed before it is known who that is');
  ready();
  while (told.length === 0) await turn();
  t.equal(sent[0]!.t, 'ready', 'and nothing comes before ready');
  t.match(told, [{ type: 'subscribe', who: { id: agent }, after: 'tail' }]);
});

t.test(
  'an agent’s actor is told of a connection that was not greeted, for it may hear of it late',
  async (t) => {
    const { connection, sent, left, hello, refuse } = greeted();
    await hello();
    refuse(new KefuError('unavailable', 'not now'));
    while (sent.length === 0) await turn();
    t.match(sent, [{ t: 'error', code: 'unavailable' }]);
    t.same(left, [agent]);

    await hello();
    connection.closed();
    t.same(left, [agent], 'its answer is waited for');
    refuse(new KefuError('unavailable', 'not now'));
    while (left.length < 2) await turn();
    t.same(left, [agent, agent]);
  },
);
