import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { customerWithSession, http, login, visitor } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
let admin: string;
t.before(async () => {
  node = await startNode();
  admin = (await login(node, 'admin')).token;
});
t.teardown(() => node.remove());

const erase = (customer: string, token = admin) =>
  http(node, 'POST', `/v1/customers/${customer}/erase`, { token, body: { reason: 'asked by letter' } });

t.test('an erased customer’s words, files and name are gone, and the audit says who asked', async (t) => {
  const customer = await customerWithSession(node);
  await customer.say(customer.session, 'm1', 'my secret');
  const url = `/v1/sessions/${customer.session}`;
  const file = await http(node, 'POST', `${url}/files?name=a.txt`, { token: customer.token, body: { a: 1 } });
  t.equal(file.status, 201);
  t.same((await erase(customer.id)).body, {
    customer: customer.id,
    state: 'done',
    sessions: 1,
    events: 3,
    files: 1,
  });
  for (const path of [url, `${url}/events`, file.body.file.url])
    t.equal((await http(node, 'GET', path, { token: admin })).status, 404, path);
  const timeline = await http(node, 'GET', `/v1/customers/${customer.id}/events`, { token: admin });
  t.same(timeline.body.data, []);
  const again = await http(node, 'POST', '/v1/sessions', { token: customer.token, body: {} });
  t.equal(again.status, 401, 'nobody acts as this customer any more');
  t.match((await erase(customer.id)).body, { state: 'done', sessions: 1 }, 'asking twice changes nothing');
  const audit = await http(node, 'GET', '/v1/audit?limit=1', { token: admin });
  t.match(audit.body.data[0], {
    action: 'customer.erase',
    subject: customer.id,
    details: { reason: 'asked by letter' },
  });
  t.notMatch(JSON.stringify(audit.body), /secret/);
  customer.close();
});

t.test('a customer’s data can be had as a whole, files and notes included', async (t) => {
  const customer = await customerWithSession(node);
  await customer.say(customer.session, 'm1', '你好');
  const url = `/v1/sessions/${customer.session}/files?name=bill%20no%207.txt`;
  await http(node, 'POST', url, { token: customer.token, body: 'the bill' });
  const path = `/v1/customers/${customer.id}/export`;
  t.equal((await http(node, 'GET', path, { token: customer.token })).status, 403);
  const answer = await fetch(`${node.url}${path}`, { headers: { authorization: `Bearer ${admin}` } });
  t.equal(answer.headers.get('content-type'), 'application/x-tar');
  const folder = t.testdir();
  writeFileSync(`${folder}/all.tar`, new Uint8Array(await answer.arrayBuffer()));
  execFileSync('tar', ['-xf', 'all.tar'], { cwd: folder });
  t.match(JSON.parse(readFileSync(`${folder}/customer.json`, 'utf8')), { id: customer.id });
  const whole = JSON.parse(readFileSync(`${folder}/sessions/${customer.session}.json`, 'utf8'));
  t.match(whole, {
    session: { id: customer.session },
    events: [{ seq: 1 }, { seq: 2, body: { text: '你好' } }],
  });
  const files = execFileSync('find', ['files', '-type', 'f'], { cwd: folder, encoding: 'utf8' }).trim();
  t.match(files, /bill_no_7\.txt$/);
  t.equal(readFileSync(`${folder}/${files}`, 'utf8'), 'the bill');
  customer.close();
});

t.test('a legal hold keeps a customer’s data', async (t) => {
  const customer = await visitor(node);
  const hold = `/v1/customers/${customer.id}/hold`;
  t.equal((await http(node, 'PUT', hold, { token: admin, body: { reason: 'case 7' } })).status, 201);
  const refused = await erase(customer.id);
  t.equal(refused.status, 409);
  t.match(refused.body.error.message, /legal hold/);
  t.equal((await http(node, 'DELETE', hold, { token: admin })).status, 204);
  t.equal((await http(node, 'DELETE', hold, { token: admin })).status, 404);
  t.match((await erase(customer.id)).body, { state: 'done', sessions: 0 });
});

t.test('only admins; bad input names what is wrong', async (t) => {
  const customer = await visitor(node);
  const agent = (await login(node, 'agent1')).token;
  for (const token of [agent, customer.token]) {
    t.equal((await erase(customer.id, token)).status, 403);
    t.equal((await http(node, 'GET', '/v1/audit', { token })).status, 403);
  }
  const nameless = await http(node, 'POST', `/v1/customers/${customer.id}/erase`, { token: admin, body: {} });
  t.equal(nameless.status, 400);
  t.match(nameless.body.error.message, /reason/);
  t.equal((await erase('01941f29-7c00-7000-9f4c-712f5644c58f')).status, 404);
  const retention = '/v1/groups/support/retention';
  t.equal((await http(node, 'PUT', retention, { token: admin, body: { keep_days: 0 } })).status, 400);
  t.same((await http(node, 'PUT', retention, { token: admin, body: { keep_days: 365 } })).body, {
    name: 'support',
    keep_days: 365,
  });
  t.equal((await http(node, 'PUT', retention, { token: admin, body: { keep_days: null } })).status, 200);
  t.equal(
    (await http(node, 'PUT', '/v1/groups/nobody/retention', { token: admin, body: { keep_days: 1 } })).status,
    404,
  );
});
