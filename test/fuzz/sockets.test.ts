import { connect } from 'node:net';
import t from 'tap';
import fc from 'fast-check';
import { errorCodes } from '../../src/core/errors.ts';
import { Client, customerWithSession, http, type Encoding } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

/** Whatever comes over a real socket: never a crash, never a change, always one of the contract's errors. */
let node: TestNode;
let victim: Awaited<ReturnType<typeof customerWithSession>>;
const codes = new Set<string>([...errorCodes, 'bad_credentials']);

t.setTimeout(200_000);
t.before(async () => {
  node = await startNode({
    env: {
      KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
      KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
      KEFU_LIMITS_CONNECTIONS_PER_IP: '0',
    },
  });
  victim = await customerWithSession(node);
});
t.teardown(() => node.remove());

async function unchanged(): Promise<void> {
  const { body } = await http(node, 'GET', `/v1/sessions/${victim.session}`, { token: victim.token });
  if (body.last_seq !== 1 || body.state !== 'waiting')
    throw new Error(`the session changed: ${JSON.stringify(body)}`);
  const { status } = await http(node, 'GET', '/healthz');
  if (status !== 200) throw new Error('not healthy');
  process.kill(node.pid, 0);
}

const word = fc.constantFrom(
  'say',
  'open',
  'hello',
  'transfer',
  'close',
  'read',
  'typing',
  'presence',
  'history',
  'x',
  '',
);
const frames = fc.oneof(
  fc.record({
    t: fc.oneof(word, fc.anything()),
    ref: fc.anything(),
    session: fc.anything(),
    id: fc.anything(),
    body: fc.anything(),
  }),
  fc.record({
    t: fc.constant('say'),
    session: fc.constant('SESSION'),
    id: fc.anything(),
    body: fc.constant(undefined),
  }),
  fc.anything(),
);

for (const encoding of ['kefu.json.v1', 'kefu.msgpack.v1'] as Encoding[])
  t.test(`${encoding}: damaged frames are refused, and change nothing`, async (t) => {
    const property = fc.asyncProperty(
      fc.array(fc.oneof(frames, fc.uint8Array({ maxLength: 300 }), fc.string()), {
        minLength: 1,
        maxLength: 8,
      }),
      async (sent) => {
        const client = await Client.hello(node.wsUrl, victim.token, { encoding });
        for (const one of sent) {
          if (client.closed !== undefined) break;
          if (one instanceof Uint8Array || typeof one === 'string') client.sendRaw(one);
          else {
            try {
              const text = JSON.stringify(one)?.replaceAll('SESSION', victim.session);
              if (text !== undefined) client.send(JSON.parse(text));
            } catch {
              // What no client could send either.
            }
          }
        }
        const answered =
          client.closed === undefined
            ? client.ask({ t: 'history', session: victim.session }).catch(() => undefined)
            : undefined;
        await Promise.race([client.untilClosed(8000), answered]);
        for (const frame of client.frames)
          if (frame.t === 'error' && !codes.has(frame.code))
            throw new Error(`no code of the contract: ${frame.code}`);
        client.close();
      },
    );
    await fc.assert(property, { numRuns: 120, endOnFailure: true });
    await unchanged();
    t.pass('120 connections');
  });

/** Bytes on a bare socket, until the server ends it or answers. */
function raw(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(node.port, '127.0.0.1', () => socket.end(bytes));
    socket.on('data', () => undefined);
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.setTimeout(300, () => socket.destroy());
  });
}

t.test('bytes that are no HTTP and no WebSocket harm nobody', async (t) => {
  const upgrade = Buffer.from(
    'GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  const bytes = fc.uint8Array({ maxLength: 200 });
  const property = fc.asyncProperty(fc.boolean(), bytes, async (upgraded, tail) => {
    await raw(upgraded ? Buffer.concat([upgrade, tail]) : tail);
  });
  await fc.assert(property, { numRuns: 120, endOnFailure: true });
  await unchanged();
  t.pass('120 sockets');
});

t.test('requests of any method, path and body get an answer of the contract', async (t) => {
  const paths = fc.oneof(
    fc.constantFrom(
      '/v1/sessions',
      `/v1/sessions/SESSION/messages`,
      `/v1/sessions/SESSION/transfer`,
      `/v1/sessions/SESSION/rating`,
      '/v1/login',
      '/v1/agents',
      '/v1/groups',
      '/v1/visitors/x',
    ),
    fc.webPath(),
  );
  const bodies = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constant('['.repeat(20_000)),
    fc.constant('x'.repeat(100_000)),
  );
  const property = fc.asyncProperty(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
    paths,
    bodies,
    async (method, path, body) => {
      const place = path.replace('SESSION', victim.session) || '/';
      const options = {
        token: victim.token,
        ...(method === 'GET' ? {} : { body: body === '' ? ' ' : body }),
      };
      const answer = await http(node, method, place.startsWith('/') ? place : `/${place}`, options).catch(
        () => undefined,
      );
      // A body far too large may be cut off before its answer is read.
      if (answer === undefined || answer.status < 400) return;
      if (!codes.has(answer.body?.error?.code))
        throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      if (typeof answer.body.error.message !== 'string') throw new Error('no message');
      if (answer.status === 500) throw new Error(`${method} ${place} failed`);
    },
  );
  await fc.assert(property, { numRuns: 200, endOnFailure: true });
  await unchanged();
  t.pass('200 requests');
});
