import t from 'tap';
import { http, login, visitor } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
t.before(async () => {
  node = await startNode();
});
t.teardown(() => node.remove());

interface Shown {
  session: string;
  seq: number;
  type: string;
  body?: { text: string };
}

/** Opens a session, says so many messages and closes it. */
async function talk(token: string, messages: number): Promise<{ id: string; previous: string | null }> {
  const opened = (await http(node, 'POST', '/v1/sessions', { token, body: {} })).body;
  for (let n = 1; n <= messages; n += 1) {
    const body = { id: `m${n}`, body: `message ${n}` };
    t.equal((await http(node, 'POST', `/v1/sessions/${opened.id}/messages`, { token, body })).status, 201);
  }
  t.equal((await http(node, 'POST', `/v1/sessions/${opened.id}/close`, { token, body: {} })).status, 200);
  return opened;
}

async function pages(customer: string, token: string, limit: number): Promise<Shown[]> {
  const all: Shown[] = [];
  let cursor = '';
  for (let page = 0; page < 100; page += 1) {
    const answer = await http(node, 'GET', `/v1/customers/${customer}/events?limit=${limit}${cursor}`, {
      token,
    });
    t.equal(answer.status, 200);
    t.ok(answer.body.data.length <= limit);
    all.push(...answer.body.data);
    if (answer.body.next === null) return all;
    cursor = `&cursor=${answer.body.next}`;
  }
  throw new Error('the pages have no end');
}

t.test('a customer’s history goes through all its sessions, newest first, each event once', async (t) => {
  const { id, token } = await visitor(node);
  const sessions = [await talk(token, 3), await talk(token, 0), await talk(token, 5)];
  t.same(
    sessions.map((session) => session.previous),
    [null, sessions[0]!.id, sessions[1]!.id],
    'each knows the one before',
  );
  const want = sessions.flatMap((session, index) =>
    Array.from({ length: [5, 2, 7][index]! }, (_, seq) => `${session.id}:${seq + 1}`),
  );
  for (const limit of [1, 3, 7, 100]) {
    const found = await pages(id, token, limit);
    t.same(
      found.map(({ session, seq }) => `${session}:${seq}`),
      want.toReversed(),
      `pages of ${limit}`,
    );
  }
  const admin = await login(node, 'admin');
  t.equal((await pages(id, admin.token, 4)).length, want.length);
});

t.test('nobody else’s history is to be had', async (t) => {
  const [mine, other] = [await visitor(node), await visitor(node)];
  await talk(mine.token, 1);
  t.equal((await http(node, 'GET', `/v1/customers/${mine.id}/events`, { token: other.token })).status, 404);
  t.equal((await http(node, 'GET', `/v1/customers/${mine.id}/events`)).status, 401);
  const bad = await http(node, 'GET', `/v1/customers/${mine.id}/events?cursor=x`, { token: mine.token });
  t.equal(bad.status, 400);
  t.match(bad.body.error.message, /cursor/);
  t.same((await http(node, 'GET', `/v1/customers/${other.id}/events`, { token: other.token })).body, {
    data: [],
    next: null,
  });
});
