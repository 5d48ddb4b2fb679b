import t from 'tap';
import {
  Client,
  customerWithSession,
  http,
  login,
  onlineAgent,
  visitor,
  type Encoding,
} from '../support/client.ts';
import { newDataDir, startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
t.setTimeout(120_000);
t.before(async () => {
  node = await startNode({ env: { KEFU_AGENTS_CAPACITY: '4' } });
});
t.teardown(() => node.remove());

for (const encoding of ['kefu.json.v1', 'kefu.msgpack.v1'] as Encoding[]) {
  t.test(
    `${encoding}: a customer asks, an agent answers, and both see every event once and in order`,
    async (t) => {
      const agent = await onlineAgent(node, 'agent1', encoding);
      const customer = await customerWithSession(node, encoding);
      const { session } = customer;
      const assigned = await agent.seen((frame) => frame.t === 'assigned' && frame.session.id === session);
      t.match(assigned.session, {
        id: session,
        state: 'chatting',
        agent: { id: agent.id },
        group: 'support',
      });
      t.equal(assigned.customer.id, customer.id);
      t.match(assigned.events.at(-1), { type: 'assigned' });
      const question = await customer.say(session, 'q1', '你好, do you have it in blue?');
      t.match(question, { t: 'ack', session, id: 'q1', at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ });
      const heard = await agent.seen((frame) => frame.t === 'event' && frame.id === 'q1');
      t.match(heard, {
        seq: question.seq,
        type: 'message',
        body: { type: 'text', text: '你好, do you have it in blue?' },
        from: { kind: 'customer', id: customer.id },
      });
      const answer = await agent.say(session, 'a1', {
        type: 'card',
        title: 'Blue one',
        url: 'https://shop.example/blue',
      });
      t.equal(answer.seq, question.seq + 1);
      await customer.seen((frame) => frame.t === 'event' && frame.id === 'a1');
      customer.send({ t: 'typing', session });
      t.match(await agent.seen((frame) => frame.t === 'typing'), {
        session,
        from: { kind: 'customer', id: customer.id },
      });
      agent.send({ t: 'read', session, seq: answer.seq });
      t.match(await customer.seen((frame) => frame.t === 'read'), {
        session,
        seq: answer.seq,
        from: { kind: 'agent' },
      });
      const repeat = await customer.say(session, 'q1', 'something else');
      t.match(repeat, { t: 'ack', seq: question.seq, repeat: true }, 'the same id makes one event');
      t.match(await customer.ask({ t: 'close', session, reason: 'done' }), { t: 'ok' });
      t.match(await agent.seen((frame) => frame.t === 'released'), { session });
      t.match(await customer.seen((frame) => frame.type === 'closed'), { session, reason: 'done' });
      t.match(await customer.say(session, 'q2'), { t: 'error', code: 'invalid_transition' });
      t.same([...customer.faults, ...agent.faults], []);
      agent.close();
      customer.close();
    },
  );
}

t.test(
  'a transfer keeps the whole history, hides the note from the customer, and frees the first agent',
  async (t) => {
    const first = await onlineAgent(node, 'agent1');
    const customer = await customerWithSession(node);
    const { session } = customer;
    await first.seen((frame) => frame.t === 'assigned' && frame.session.id === session);
    await customer.say(session, 'm1', 'one');
    const second = await onlineAgent(node, 'agent2');
    t.match(await first.ask({ t: 'transfer', session, to: { agent: second.id }, note: 'knows shoes' }), {
      t: 'ok',
    });
    await first.seen((frame) => frame.t === 'released' && frame.session === session);
    const assigned = await second.seen((frame) => frame.t === 'assigned' && frame.session.id === session);
    t.ok(
      assigned.events.some(
        (event: { type: string; text?: string }) => event.type === 'note' && event.text === 'knows shoes',
      ),
    );
    t.match(await first.say(session, 'x'), { t: 'error', code: 'not_participant' });
    const whole = await second.ask({ t: 'history', session });
    t.same(
      whole.events.map((event: { seq: number }) => event.seq),
      whole.events.map((_: unknown, index: number) => index + 1),
    );
    t.equal(whole.more, false);
    await second.say(session, 'h2', 'hello again');
    await customer.seen((frame) => frame.id === 'h2');
    t.equal(customer.events(session).filter((event) => event.type === 'hidden').length, 1);
    t.notMatch(JSON.stringify(customer.frames), /knows shoes/);
    t.same([...customer.faults, ...second.faults, ...first.faults], []);
    const offline = await login(node, 'agent5');
    t.match(await second.ask({ t: 'transfer', session, to: { agent: offline.id } }), {
      t: 'error',
      code: 'conflict',
    });
    t.match(await second.ask({ t: 'transfer', session, to: { group: 'nobody' } }), {
      t: 'error',
      code: 'not_found',
    });
    t.match(await customer.ask({ t: 'transfer', session, to: { group: 'support' } }), {
      t: 'error',
      code: 'forbidden',
    });
    await first.ask({ t: 'presence', state: 'away' });
    const again = second.next((frame) => frame.t === 'assigned' && frame.session.id === session);
    t.match(await second.ask({ t: 'transfer', session, to: { group: 'support' } }), { t: 'ok' });
    const back = await again;
    t.equal(back.session.agent.id, second.id);
    for (const client of [first, second, customer]) client.close();
  },
);

t.test(
  'a client that comes back goes on from the next event, and a seq beyond the log is reset',
  async (t) => {
    const agent = await onlineAgent(node, 'agent3');
    const customer = await customerWithSession(node);
    const { session, token } = customer;
    for (let n = 0; n < 5; n += 1) await customer.say(session, `m${n}`);
    const head = customer.lastSeq[session]!;
    customer.close();
    const again = await Client.hello(node.wsUrl, token, { resume: { [session]: head - 2 } });
    t.equal(again.ready.sessions[0].id, session);
    await again.seen((frame) => frame.t === 'event' && frame.seq === head);
    t.equal(again.events(session)[0].seq, head - 1);
    const anew = await Client.hello(node.wsUrl, token);
    await anew.seen((frame) => frame.t === 'event' && frame.seq === head);
    t.equal(anew.events(session)[0].seq, 1, 'without resume a customer’s session comes from the start');
    const beyond = await Client.hello(node.wsUrl, token, { resume: { [session]: head + 50 } });
    await beyond.seen((frame) => frame.t === 'reset');
    await beyond.seen((frame) => frame.t === 'event' && frame.seq === head);
    t.same([...again.faults, ...anew.faults, ...beyond.faults], []);
    const stranger = await visitor(node);
    const curious = await Client.hello(node.wsUrl, stranger.token, { resume: { [session]: 0 } });
    t.same(curious.ready.sessions, []);
    t.match(await curious.ask({ t: 'history', session }), { t: 'error', code: 'not_found' });
    t.match(await curious.say(session, 'x'), { t: 'error' });
    for (const client of [agent, again, anew, beyond, curious]) client.close();
  },
);

t.test('a repeat is known however old it is, in memory or not, and after a restart', async (t) => {
  const dataDir = newDataDir();
  const env = { KEFU_LIMITS_MESSAGES_PER_SECOND: '0', KEFU_LIMITS_IN_FLIGHT: '1000' };
  let other = await startNode({ env, dataDir });
  const customer = await customerWithSession(other);
  const { session, token } = customer;
  const first = await customer.say(session, 'first');
  await Promise.all(Array.from({ length: 700 }, (_, n) => customer.say(session, `m${n}`)));
  t.match(await customer.say(session, 'first'), { t: 'ack', seq: first.seq, repeat: true });
  t.match(await customer.say(session, 'm350'), { t: 'ack', repeat: true });
  t.match(await customer.say(session, 'new'), { t: 'ack', seq: 703 });
  await other.kill();
  other = await startNode({ env, dataDir });
  const again = await Client.hello(other.wsUrl, token, { resume: { [session]: 703 } });
  t.match(await again.say(session, 'first'), { t: 'ack', seq: first.seq, repeat: true });
  t.match(await again.say(session, 'newer'), { t: 'ack', seq: 704 });
  t.same([...customer.faults, ...again.faults], []);
  await other.remove();
});

t.test('history goes back page by page', async (t) => {
  const customer = await customerWithSession(node);
  const { session } = customer;
  for (let n = 0; n < 12; n += 1) await customer.say(session, `m${n}`);
  const seqs: number[] = [];
  let before: number | undefined;
  for (;;) {
    const page = await customer.ask({
      t: 'history',
      session,
      limit: 5,
      ...(before === undefined ? {} : { before }),
    });
    seqs.unshift(...page.events.map((event: { seq: number }) => event.seq));
    if (!page.more) break;
    before = page.events[0].seq;
  }
  t.same(
    seqs,
    Array.from({ length: customer.lastSeq[session]! }, (_, index) => index + 1),
  );
  customer.close();
});

t.test('one who waits is told its place, and moves up as others are served', async (t) => {
  // A node of its own, where nobody works: sessions of other tests that come back into the queue would move the places.
  const quiet = await startNode();
  t.teardown(() => quiet.remove());
  const [first, second, third] = [
    await customerWithSession(quiet),
    await customerWithSession(quiet),
    await customerWithSession(quiet),
  ];
  t.match(await third.seen((frame) => frame.t === 'queue'), { position: 3, ahead: 2 });
  await first.ask({ t: 'close', session: first.session });
  t.match(await third.seen((frame) => frame.t === 'queue' && frame.position !== 3), {
    position: 2,
    ahead: 1,
  });
  for (const customer of [first, second, third]) customer.close();
});

t.test('HTTP does the same as the frames', async (t) => {
  const agent = await onlineAgent(node, 'agent4');
  const { token } = await visitor(node);
  const opened = await http(node, 'POST', '/v1/sessions', {
    token,
    body: { subject: 'Shoes', attributes: { order: 7 } },
  });
  t.equal(opened.status, 201);
  const { id } = opened.body;
  t.match(opened.body, {
    state: 'waiting',
    subject: 'Shoes',
    attributes: { order: 7 },
    last_seq: 1,
    closed_at: null,
  });
  t.equal((await http(node, 'POST', '/v1/sessions', { token, body: {} })).status, 200);
  await agent.seen((frame) => frame.t === 'assigned' && frame.session.id === id);
  const said = await http(node, 'POST', `/v1/sessions/${id}/messages`, {
    token,
    body: { id: 'h1', body: 'by HTTP' },
  });
  t.equal(said.status, 201);
  const repeated = await http(node, 'POST', `/v1/sessions/${id}/messages`, {
    token,
    body: { id: 'h1', body: 'by HTTP' },
  });
  t.equal(repeated.status, 200);
  t.equal(repeated.body.seq, said.body.seq);
  const page = await http(node, 'GET', `/v1/sessions/${id}/events?after=1&limit=1`, { token });
  t.same([page.body.data.length, page.body.data[0].seq, page.body.next], [1, 2, '2']);
  t.match((await http(node, 'GET', '/v1/me', { token })).body, { kind: 'customer', name: 'Mei' });
  t.match(
    (await http(node, 'GET', `/v1/sessions?agent=${agent.id}&state=chatting`, { token: agent.token })).body
      .data[0],
    { id },
  );
  t.equal((await http(node, 'GET', '/v1/sessions', { token })).status, 403);
  t.equal((await http(node, 'GET', `/v1/sessions/${id}`)).status, 401);
  t.equal(
    (await http(node, 'GET', `/v1/sessions/${id}`, { token: (await visitor(node)).token })).status,
    404,
  );
  t.equal((await http(node, 'POST', `/v1/sessions/${id}/rating`, { token, body: { score: 5 } })).status, 409);
  const second = await onlineAgent(node, 'agent5');
  const moved = await http(node, 'POST', `/v1/sessions/${id}/transfer`, {
    token: agent.token,
    body: { to: { agent: second.id } },
  });
  t.equal(moved.status, 202);
  await second.seen((frame) => frame.t === 'assigned' && frame.session.id === id);
  t.equal(
    (await http(node, 'POST', `/v1/sessions/${id}/close`, { token: second.token, body: {} })).status,
    200,
  );
  const twice = await http(node, 'POST', `/v1/sessions/${id}/close`, { token: second.token, body: {} });
  t.same([twice.status, twice.body.error.code], [409, 'invalid_transition']);
  t.equal((await http(node, 'POST', `/v1/sessions/${id}/rating`, { token, body: { score: 9 } })).status, 400);
  t.equal(
    (await http(node, 'POST', `/v1/sessions/${id}/rating`, { token, body: { score: 5, comment: 'fine' } }))
      .status,
    201,
  );
  t.equal((await http(node, 'POST', `/v1/sessions/${id}/rating`, { token, body: { score: 5 } })).status, 409);
  const list = await http(node, 'GET', '/v1/sessions?limit=1', { token: agent.token });
  const rest = await http(node, 'GET', `/v1/sessions?limit=1&cursor=${list.body.next}`, {
    token: agent.token,
  });
  t.ok(rest.body.data[0].id < list.body.data[0].id, 'newest first');
  const wrong = await http(node, 'POST', '/v1/login', {
    body: { email: 'agent1@demo.kefu', password: 'no' },
  });
  t.same([wrong.status, wrong.body.error.code], [401, 'bad_credentials']);
  agent.close();
  second.close();
});

t.test('files are stored, and served to those who may read the session', async (t) => {
  const customer = await customerWithSession(node);
  const { session, token } = customer;
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  const upload = (type: string, body: Uint8Array): Promise<Response> =>
    fetch(`${node.url}/v1/sessions/${session}/files?name=${encodeURIComponent('图 1.png')}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      body: new Uint8Array(body),
    });
  const stored = await upload('image/png', png);
  t.equal(stored.status, 201);
  const { file } = (await stored.json()) as {
    file: { url: string; size: number; mime: string; name: string };
  };
  t.match(file, { mime: 'image/png', size: png.length, name: '图 1.png' });
  const fetched = await fetch(node.url + file.url, { headers: { authorization: `Bearer ${token}` } });
  t.equal(fetched.headers.get('content-type'), 'image/png');
  t.ok(Buffer.from(await fetched.arrayBuffer()).equals(png));
  t.equal((await fetch(node.url + file.url)).status, 401);
  t.equal(
    (
      await fetch(node.url + file.url, {
        headers: { authorization: `Bearer ${(await visitor(node)).token}` },
      })
    ).status,
    404,
  );
  const linked = await http(node, 'GET', `${file.url}/link`, { token });
  t.equal(linked.status, 200);
  const shown = await fetch(node.url + linked.body.url);
  t.ok(Buffer.from(await shown.arrayBuffer()).equals(png), 'the link needs no token');
  const tampered = `${linked.body.url.slice(0, -2)}xx`;
  t.equal((await fetch(node.url + tampered)).status, 401);
  t.equal((await fetch(`${node.url}${file.url}?signature=${token}`)).status, 401, 'a token is no signature');
  const signature = new URL(linked.body.url, node.url).searchParams.get('signature')!;
  t.equal((await http(node, 'GET', '/v1/me', { token: signature })).status, 401, 'a signature is no token');
  const page = (await (await upload('text/html', Buffer.from('<script>1</script>'))).json()) as {
    file: { url: string };
  };
  const served = await fetch(node.url + page.file.url, { headers: { authorization: `Bearer ${token}` } });
  t.notMatch(served.headers.get('content-type'), /html/);
  t.match(served.headers.get('content-disposition'), /^attachment/);
  t.equal((await upload('image/png', Buffer.alloc(11 * 2 ** 20))).status, 413);
  customer.close();
});
