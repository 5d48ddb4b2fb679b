import t from 'tap';
import { customerWithSession, http, login, onlineAgent, visitor, type Frame } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
let admin: string;
t.setTimeout(120_000);
t.before(async () => {
  node = await startNode({
    env: { KEFU_SEARCH_EVERY: '100ms', KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0' },
  });
  admin = (await login(node, 'admin')).token;
});
t.teardown(() => node.remove());

async function search(query: string, token = admin): Promise<{ status: number; body: Frame }> {
  return http(node, 'GET', `/v1/search?${query}`, { token });
}

/** What is found as soon as the index has come so far. */
async function found(query: string, count: number): Promise<Frame[]> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const { body } = await search(query);
    if (body.data === undefined) throw new Error(JSON.stringify(body));
    if (body.data.length === count) return body.data;
    if (performance.now() > endMs) throw new Error(`${query}: ${body.data.length} sessions, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const q = (text: string): string => `q=${encodeURIComponent(text)}`;

t.test('words in messages, in Chinese and in Latin scripts, are found with their places', async (t) => {
  const customer = await customerWithSession(node);
  await customer.say(customer.session, 'm1', '亲，我要退货，订单号是 AB12345678，谢谢');
  await customer.say(customer.session, 'm2', 'And when does the Ünïcode parcel arrive?');
  const [one] = await found(q('退货'), 1);
  t.equal(one!.session.id, customer.session);
  const [hit] = one!.hits;
  t.equal(hit.text.slice(...hit.marks[0]), '退货');
  t.match(hit, { seq: 2, from: { kind: 'customer' } });
  for (const query of ['ab12345678', '订单号', 'ünïcode PARCEL', '退货 parcel'])
    t.equal((await found(q(query), 1))[0]!.session.id, customer.session, query);
  const listed = await http(node, 'GET', `/v1/sessions?${q('退货')}`, { token: admin });
  t.same(
    listed.body.data.map((one: Frame) => one.id),
    [customer.session],
    'the list of sessions knows the words too',
  );
  t.equal((await search(q('货退'))).body.data.length, 0);
  t.equal((await search(q('退货 shoes'))).body.data.length, 0, 'all words must be there');
  customer.close();
});

t.test('filters by state, agent, group, tag and time; names and subjects are found too', async (t) => {
  const { token } = await visitor(node, 'Zhangwuji');
  const body = { subject: 'blue umbrella', attributes: { tags: ['vip'] } };
  const { id } = (await http(node, 'POST', '/v1/sessions', { token, body })).body;
  await found(q('umbrella'), 1);
  for (const filter of ['state=waiting', 'group=support', 'tag=vip', 'from=2020-01-01', 'to=2120-01-01'])
    t.equal((await found(`${q('zhangwuji')}&${filter}`, 1))[0]!.session.id, id, filter);
  for (const filter of ['state=closed', 'group=other', 'tag=x', 'to=2020-01-01', 'from=2120-01-01'])
    t.same((await search(`${q('umbrella')}&${filter}`)).body.data, [], filter);
  const agent = await onlineAgent(node, 'agent1');
  await agent.seen((frame) => frame.t === 'assigned' && frame.session.id === id);
  await found(`${q('umbrella')}&state=chatting&agent=${agent.id}`, 1);
  await http(node, 'POST', `/v1/sessions/${id}/close`, { token, body: {} });
  await found(`${q('umbrella')}&state=closed`, 1);
  t.same((await search(`${q('umbrella')}&state=chatting`)).body.data, []);
  agent.close();
});

t.test('pages go on without repeats or holes while new sessions come', async (t) => {
  const wanted: string[] = [];
  for (let n = 0; n < 7; n += 1) {
    const { token } = await visitor(node);
    const { body } = await http(node, 'POST', '/v1/sessions', { token, body: { subject: 'turnip soup' } });
    wanted.push(body.id);
  }
  await found(q('turnip'), 7);
  const ids: string[] = [];
  let cursor = '';
  for (let page = 0; page < 10; page += 1) {
    const { body } = await search(`${q('turnip soup')}&limit=2${cursor}`);
    ids.push(...body.data.map((one: Frame) => one.session.id));
    if (body.next === null) break;
    cursor = `&cursor=${body.next}`;
    const { token } = await visitor(node);
    await http(node, 'POST', '/v1/sessions', { token, body: { subject: 'turnip soup' } });
  }
  t.same(ids, wanted.toReversed());
});

t.test('only agents search, each only what it may read; bad input is named', async (t) => {
  const customer = await visitor(node);
  t.equal((await search(q('soup'), customer.token)).status, 403);
  for (const [query, field] of [
    ['q=', 'q'],
    ['q=%E2%80%A6', 'q'],
    [`${q('soup')}&state=open`, 'state'],
    [`${q('soup')}&agent=me`, 'agent'],
    [`${q('soup')}&from=yesterday`, 'from'],
    [`${q('soup')}&cursor=2`, 'cursor'],
  ] as const) {
    const answer = await search(query);
    t.equal(answer.status, 400, query);
    t.match(answer.body.error.message, field);
  }
  t.equal((await http(node, 'POST', '/v1/groups', { token: admin, body: { name: 'other' } })).status, 201);
  const profile = { email: 'o@x.kefu', name: 'O', password: 'demo', groups: ['other'] };
  t.equal((await http(node, 'POST', '/v1/agents', { token: admin, body: profile })).status, 201);
  const other = await http(node, 'POST', '/v1/login', { body: { email: 'o@x.kefu', password: 'demo' } });
  t.ok((await found(q('umbrella'), 1)).length === 1);
  t.same((await search(q('umbrella'), other.body.token)).body.data, [], 'of another group');
});
