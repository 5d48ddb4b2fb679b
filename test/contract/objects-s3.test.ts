import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { customerWithSession, http, type Frame } from '../support/client.ts';
import { freePort, startNode, type TestNode } from '../support/node.ts';
import { bucket, S3Server } from '../support/s3.ts';

t.setTimeout(120_000);
const s3 = await S3Server.start(t.testdir());
t.teardown(() => s3.stop());

function start(endpoint: string): Promise<TestNode> {
  const env = { KEFU_ARCHIVE_AFTER: '0', KEFU_ARCHIVE_EVERY: '200ms', KEFU_STORE_HOT_BYTES: '65536' };
  return startNode({ env, args: ['--objects', `s3://${bucket}/prod?endpoint=${endpoint}`] });
}

async function metrics(node: TestNode): Promise<string> {
  return String((await http(node, 'GET', '/metrics')).body);
}

const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(5000, 7)]);

function upload(node: TestNode, session: string, token: string): Promise<Response> {
  return fetch(`${node.url}/v1/sessions/${session}/files?name=a.png`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'image/png' },
    body: png,
  });
}

t.test('files and the archive are in the bucket; when it fails, only they wait', async (t) => {
  const node = await start(s3.endpoint);
  t.teardown(() => node.remove());
  const customer = await customerWithSession(node);
  const { session, token } = customer;
  const stored = await upload(node, session, token);
  t.equal(stored.status, 201);
  const { file } = (await stored.json()) as { file: { url: string } };
  const download = (): Promise<Response> =>
    fetch(`${node.url}${file.url}`, { headers: { authorization: `Bearer ${token}` } });
  t.ok(Buffer.from(await (await download()).arrayBuffer()).equals(png));
  t.match(await metrics(node), /kefu_object_seconds_count\{operation="put",outcome="ok"\} [1-9]/);

  s3.plan(() => ({ type: 'answer', status: 503, code: 'SlowDown' }));
  t.equal((await upload(node, session, token)).status, 503);
  t.equal((await download()).status, 503);
  t.match(await customer.say(session, 'm1', 'still here'), { seq: Number }, 'chat goes on');
  t.match(await metrics(node), /outcome="unavailable"\} [1-9]/);
  t.match(await metrics(node), /kefu_object_retries_total [1-9]/);

  s3.plan();
  const before = (await http(node, 'GET', `/v1/sessions/${session}/events`, { token })).body.data as Frame[];
  await customer.ask({ t: 'close', session });
  await until('the archive', async () =>
    /kefu_archived_total\{what="sessions"\} 1/.test(await metrics(node)),
  );
  const cold = (await http(node, 'GET', `/v1/sessions/${session}/events`, { token })).body.data as Frame[];
  t.same(cold.slice(0, -1), before);
  t.ok(s3.asked.some((it) => it.method === 'PUT' && it.path.startsWith(`/${bucket}/prod/`)));
});

t.test('a node starts and chats without its bucket, and says that it is missing', async (t) => {
  const node = await start(`http://127.0.0.1:${await freePort()}`);
  t.teardown(() => node.remove());
  const customer = await customerWithSession(node);
  t.match(await customer.say(customer.session, 'm1', 'hello'), { seq: Number });
  const words = ['the object store can’t be used', 'ECONNREFUSED'];
  await until('the warning', () => words.every((it) => node.logs().includes(it)));
  t.match(await metrics(node), /kefu_object_seconds_count\{operation="list",outcome="unavailable"\} [1-9]/);
  t.equal((await upload(node, customer.session, customer.token)).status, 503);
});

t.test('a bucket that hangs holds up nobody, and archiving goes on when it answers again', async (t) => {
  const node = await start(s3.endpoint);
  t.teardown(() => node.remove());
  const customer = await customerWithSession(node);
  const { session } = customer;
  await customer.say(session, 'm0', 'before');
  s3.plan(() => ({ type: 'hang' }));
  const other = await customerWithSession(node);
  await other.ask({ t: 'close', session: other.session });
  await until('the archiver to ask', () => Promise.resolve(s3.hanging > 0));
  let worstMs = 0;
  for (let n = 1; n <= 100; n += 1) {
    const began = performance.now();
    await customer.say(session, `m${n}`, `line ${n}`);
    const { status, body } = await http(node, 'GET', `/v1/sessions/${other.session}/events`, {
      token: other.token,
    });
    worstMs = Math.max(worstMs, performance.now() - began);
    if (status !== 200 || body.data.length !== 2) t.fail(`${status}: ${JSON.stringify(body)}`);
  }
  t.ok(worstMs < 2_000, `chats and warm history at most ${Math.round(worstMs)} ms`);
  t.notMatch(await metrics(node), /kefu_archived_total\{what="sessions"\}/);
  s3.plan();
  s3.release();
  await until('the archive', async () =>
    /kefu_archived_total\{what="sessions"\} 1/.test(await metrics(node)),
  );
  t.equal(
    (await http(node, 'GET', `/v1/sessions/${other.session}/events`, { token: other.token })).body.data
      .length,
    2,
  );
  for (const one of [customer, other]) one.close();
});
