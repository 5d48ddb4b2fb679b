import t from 'tap';
import { http, login, visitor } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

/** Behind a proxy, so that requests may come from elsewhere. */
let node: TestNode;
t.before(async () => {
  node = await startNode({ env: { KEFU_HTTP_TRUST_PROXY: 'true' } });
});
t.teardown(() => node.remove());

const elsewhere = { 'x-forwarded-for': '203.0.113.9' };

async function statusFor(
  token: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<[number, string?]> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${node.url}/v1/cluster`, { headers: { ...headers, ...authorization } });
  const body = (await answer.json()) as { error?: { code: string } };
  return body.error === undefined ? [answer.status] : [answer.status, body.error.code];
}

t.test('the cluster is shown on loopback, and to admins from anywhere', async (t) => {
  const [admin, agent, customer] = await Promise.all([
    login(node, 'admin'),
    login(node, 'agent1'),
    visitor(node),
  ]);
  t.same(await statusFor(undefined), [200]);
  t.same(await statusFor(undefined, elsewhere), [401, 'unauthorized']);
  t.same(await statusFor('nonsense', elsewhere), [401, 'unauthorized']);
  for (const where of [{}, elsewhere]) {
    t.same(await statusFor(admin.token, where), [200]);
    t.same(await statusFor(agent.token, where), [403, 'forbidden']);
    t.same(await statusFor(customer.token, where), [403, 'forbidden']);
  }
  t.same((await http(node, 'POST', '/v1/cluster', { token: admin.token })).status, 405);
});

t.test('a node alone reports itself: a cluster of one that is well', async (t) => {
  const { body } = await http(node, 'GET', '/v1/cluster');
  t.match(body, {
    clustered: false,
    nats: null,
    lease: { holds: true, leftMs: null },
    members: [{ node: String, startedAt: Number, health: { feed: null, natsMs: null, leaseLeftMs: null } }],
    recent: [{ kind: 'moved', from: null, shards: 256 }, { kind: 'came' }],
  });
  t.ok(body.shards.every(({ phase }: { phase: string }) => phase === 'open'));
  t.notOk('owned' in body.members[0], 'a member is what the report says, and no beat');
});
