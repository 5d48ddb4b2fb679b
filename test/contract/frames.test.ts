import t from 'tap';
import { Client, customerWithSession, http, onlineAgent, visitor } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
t.setTimeout(120_000);
t.before(async () => {
  node = await startNode({
    env: {
      KEFU_LIMITS_HELLO: '500ms',
      KEFU_LIMITS_HEARTBEAT: '800ms',
      KEFU_LIMITS_MESSAGES_PER_SECOND: '5',
      KEFU_LIMITS_CONNECTIONS_PER_IP: '12',
      KEFU_AGENTS_GRACE: '300ms',
      KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '60',
    },
  });
});
t.teardown(() => node.remove());

/** Keeps a client alive, as every client has to. */
function ping(client: Client): Client {
  const timer = setInterval(() => client.send({ t: 'ping' }), 300);
  void client.untilClosed(120_000).then(
    () => clearInterval(timer),
    () => clearInterval(timer),
  );
  return client;
}

t.test('the first frame must be a hello, in time, with a valid token', async (t) => {
  const early = await Client.open(node.wsUrl);
  early.send({ t: 'ping' });
  t.match(await early.seen((frame) => frame.t === 'pong'), { t: 'pong' });
  early.send({ t: 'open', ref: 1 });
  t.match(await early.seen((frame) => frame.t === 'error'), { code: 'bad_frame' });
  await early.untilClosed();
  const mute = await Client.open(node.wsUrl);
  t.match(await mute.seen((frame) => frame.t === 'error'), { code: 'bad_frame' });
  await mute.untilClosed();
  const forged = await Client.open(node.wsUrl);
  forged.send({ t: 'hello', token: 'eyJhbGciOiJub25lIn0.e30.' });
  t.match(await forged.seen((frame) => frame.t === 'error'), { code: 'unauthorized' });
  await forged.untilClosed();
});

t.test('what is no frame closes the connection, what is a wrong one does not', async (t) => {
  for (const raw of ['{', '[]', '"x"', 'null', '{"t":7}', '{}']) {
    const client = await Client.hello(node.wsUrl, (await visitor(node)).token);
    client.sendRaw(raw);
    t.match(await client.seen((frame) => frame.t === 'error'), { code: 'bad_frame' }, raw);
    await client.untilClosed();
  }
  const client = ping(await Client.hello(node.wsUrl, (await visitor(node)).token));
  t.match(await client.ask({ t: 'dance' }), { t: 'error', code: 'bad_request' });
  t.match(await client.ask({ t: 'say', session: 'x', id: 'y', body: 'z' }), {
    t: 'error',
    code: 'bad_request',
  });
  client.sendRaw(JSON.stringify({ t: 'typing', session: 'x'.repeat(70_000) }));
  t.match(await client.seen((frame) => frame.code === 'too_large'), { t: 'error' });
  client.send({ t: 'history', ref: 12.5, session: (await visitor(node)).id });
  t.match(await client.seen((frame) => frame.ref === 12.5), { t: 'error', code: 'not_found' });
  t.equal(client.closed, undefined);
  client.close();
});

t.test('a client that floods is told when to go on, and what it was refused is not there', async (t) => {
  const customer = await customerWithSession(node);
  ping(customer);
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, n) => customer.say(customer.session, `f${n}`)),
  );
  const refused = answers.filter((frame) => frame.t === 'error');
  t.ok(refused.length >= 15, `${refused.length} refused`);
  t.ok(refused.every((frame) => frame.code === 'rate_limited' && frame.retry_after_ms > 0));
  const { body } = await http(node, 'GET', `/v1/sessions/${customer.session}/events`, {
    token: customer.token,
  });
  const ids = body.data
    .filter((event: { type: string }) => event.type === 'message')
    .map((event: { id: string }) => event.id);
  t.same(
    ids,
    answers.filter((frame) => frame.t === 'ack').map((frame) => frame.id),
  );
  customer.close();
});

t.test('a side that is silent for 2.5 heartbeats is gone', async (t) => {
  const client = await Client.hello(node.wsUrl, (await visitor(node)).token);
  t.equal(client.ready.heartbeat_ms, 800);
  const { code } = await client.untilClosed();
  t.equal(code, 4000);
});

t.test(
  'an agent who is away for longer than the grace loses its sessions, one who is back in time does not',
  async (t) => {
    const first = await onlineAgent(node, 'agent1');
    const customer = await customerWithSession(node);
    ping(customer);
    const { session } = customer;
    await first.seen((frame) => frame.t === 'assigned' && frame.session.id === session);
    first.close();
    const back = ping(await Client.hello(node.wsUrl, first.token));
    const mine = back.ready.sessions.find((it: { id: string }) => it.id === session);
    t.match(mine, { agent: { id: first.id } });
    t.equal(back.ready.me.presence, 'online');
    t.match(await back.say(session, 'still-here'), { t: 'ack' });
    const second = await onlineAgent(node, 'agent2');
    ping(second);
    back.close();
    await second.seen((frame) => frame.t === 'assigned' && frame.session.id === session);
    t.match(await second.say(session, 'taken-over'), { t: 'ack' });
    await customer.seen((frame) => frame.id === 'taken-over');
    t.same(
      customer
        .events(session)
        .filter((event) => event.type === 'assigned')
        .map((event) => event.agent.id),
      [first.id, second.id],
    );
    t.same([...customer.faults, ...second.faults, ...back.faults], []);
    const away = await Client.hello(node.wsUrl, first.token, {
      resume: { [session]: back.lastSeq[session]! },
    });
    t.match(await away.seen((frame) => frame.t === 'released'), { session });
    for (const client of [customer, second, away]) client.close();
  },
);

t.test('an address has so many connections and requests, and is told when to come back', async (t) => {
  const clients: Client[] = [];
  let refused: Response | undefined;
  for (let n = 0; n < 14 && refused === undefined; n += 1) {
    const upgrade = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    try {
      clients.push(await Client.open(node.wsUrl));
    } catch {
      const { request } = await import('node:http');
      refused = await new Promise((resolve) =>
        request(`${node.url}/v1/ws`, { headers: upgrade }, (response) => {
          resolve(
            new Response(null, {
              status: response.statusCode!,
              headers: { 'retry-after': response.headers['retry-after'] ?? '' },
            }),
          );
          response.resume();
        }).end(),
      );
    }
  }
  t.equal(clients.length, 12);
  t.equal(refused?.status, 429);
  t.ok(Number(refused?.headers.get('retry-after')) > 0);
  for (const client of clients) client.close();
  const answers = await Promise.all(Array.from({ length: 300 }, () => http(node, 'GET', '/v1/me')));
  const limited = answers.filter((answer) => answer.status === 429);
  t.ok(limited.length > 0, 'a flood of requests is refused');
  t.match(limited[0]!.body, { error: { code: 'rate_limited', retry_after_ms: Number } });
  t.ok(Number(limited[0]!.headers.get('retry-after')) > 0);
});

t.test('health, metrics, pages and CORS', async (t) => {
  t.equal((await http(node, 'GET', '/healthz')).status, 200);
  t.equal((await http(node, 'GET', '/readyz')).status, 200);
  const metrics = await http(node, 'GET', '/metrics');
  for (const name of [
    'kefu_connections',
    'kefu_sessions{state="waiting"}',
    'kefu_commit_seconds_count',
    'kefu_dead_letters_total',
  ])
    t.match(metrics.body, name);
  const preflight = await fetch(`${node.url}/v1/visitors`, {
    method: 'OPTIONS',
    headers: { origin: 'https://shop.example' },
  });
  t.same([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*']);
  for (const [path, type] of [
    ['/', 'text/html'],
    ['/desk', 'text/html'],
    ['/widget.js', 'text/javascript'],
  ] as const) {
    const page = await fetch(node.url + path);
    t.equal(page.status, 200, path);
    t.match(page.headers.get('content-type'), type);
    const etag = page.headers.get('etag')!;
    t.equal((await fetch(node.url + path, { headers: { 'if-none-match': etag } })).status, 304);
  }
  const missing = await http(node, 'GET', '/../package.json');
  t.same([missing.status, missing.body.error.code], [404, 'not_found']);
});

t.test('a node that stops says goodbye and ends with 0', async (t) => {
  const client = await Client.hello(node.wsUrl, (await visitor(node)).token);
  const goaway = client.seen((frame) => frame.t === 'goaway');
  const code = await node.stop();
  t.match(await goaway, { reason: String, reconnect_ms: Number });
  await client.untilClosed();
  t.equal(code, 0);
});
