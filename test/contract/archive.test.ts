import { join } from 'node:path';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { IdSource } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import { customerWithSession, http, login, type Frame } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';

let node: TestNode;
let admin: string;
t.setTimeout(120_000);
t.before(async () => {
  const env = { KEFU_ARCHIVE_AFTER: '0', KEFU_ARCHIVE_EVERY: '200ms', KEFU_STORE_HOT_BYTES: '65536' };
  node = await startNode({ env });
  admin = (await login(node, 'admin')).token;
});
t.teardown(() => node.remove());

async function metric(name: string): Promise<number> {
  const { body } = await http(node, 'GET', '/metrics');
  const line = String(body)
    .split('\n')
    .find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.split(' ')[1]);
}

async function eventsOf(session: string, token: string): Promise<Frame[]> {
  return (await http(node, 'GET', `/v1/sessions/${session}/events`, { token })).body.data;
}

const archived = () => metric('kefu_archived_total{what="sessions"}');

t.test('a closed session moves to the archive, and nobody who reads it can tell', async (t) => {
  const customer = await customerWithSession(node);
  const { session, token } = customer;
  for (let n = 1; n <= 30; n += 1)
    await customer.say(session, `m${n}`, `第 ${n} 句 "quoted" \\ and ${'more '.repeat(700)}`);
  const before = await eventsOf(session, token);
  const seen = await archived();
  await customer.ask({ t: 'close', session });
  await until('the archive', async () => (await archived()) > seen);
  const cold = await eventsOf(session, token);
  t.same(cold.slice(0, -1), before, 'the same events in the same order');
  t.equal(cold.length, 32);
  t.match((await http(node, 'GET', `/v1/sessions/${session}`, { token })).body, {
    state: 'closed',
    last_seq: 32,
  });
  const again = await http(node, 'POST', `/v1/sessions/${session}/messages`, {
    token,
    body: { id: 'm7', body: 'whatever' },
  });
  t.equal(again.status, 200, 'a message that was said long ago is still known by its id');
  t.equal(again.body.seq, before.find((event: Frame) => event.id === 'm7').seq);
  const moved = await archived();
  t.equal(
    (await http(node, 'POST', `/v1/sessions/${session}/rating`, { token, body: { score: 5 } })).status,
    201,
  );
  await until('the rating to be archived too', async () => (await archived()) > moved);
  const rated = await eventsOf(session, token);
  t.same(rated.slice(0, -1), cold);
  t.match(rated.at(-1), { seq: 33, type: 'rated' });
  t.ok((await metric('kefu_history_reads{tier="cold"}')) > 0, 'it was read from the archive');
  for (const name of ['reads', 'bytes_total', 'seconds_count', 'age_seconds_count'])
    for (const tier of ['hot', 'cold'])
      t.ok((await metric(`kefu_history_${name}{tier="${tier}"}`)) > 0, `${name} of ${tier}`);
  await until('the tiers’ sizes', async () => (await metric('kefu_history_stored_bytes{tier="cold"}')) > 0);
  t.ok((await metric('kefu_history_stored_bytes{tier="warm"}')) > 0);
  const reopened = await http(node, 'POST', '/v1/sessions', { token, body: {} });
  t.equal(reopened.status, 201);
  t.equal(reopened.body.previous, session, 'the next session links to the old one');
  const timeline = await http(node, 'GET', `/v1/customers/${customer.id}/events?limit=100`, { token });
  t.equal(timeline.body.data.length, 34);
  const erased = await http(node, 'POST', `/v1/customers/${customer.id}/erase`, {
    token: admin,
    body: { reason: 'asked' },
  });
  t.match(erased.body, { state: 'done', sessions: 2, events: 33 + 2 });
  t.equal((await http(node, 'GET', `/v1/sessions/${session}`, { token: admin })).status, 404);
  customer.close();
});

t.test('an object that the database does not know is gone when the archive has an owner again', async (t) => {
  let other = await startNode({ demo: false });
  t.teardown(() => other.remove());
  const { dataDir } = other;
  await other.stop();
  const store = await openFileStore({ directory: join(dataDir, 'objects'), wallMs: () => Date.now() });
  const key = `archive/${new IdSource(realClock, realChance).next()}.seg`;
  await store.put(key, Buffer.from('what somebody said'), { maxBytes: 100 });
  other = await startNode({ demo: false, dataDir, env: { KEFU_ARCHIVE_ORPHANS_AFTER: '1ms' } });
  const words = `${key} with 18 bytes was known to nobody: it is deleted`;
  await until('the sweep, and its word for it', () => other.logs().includes(words));
  t.equal(await store.head(key), undefined);
});
