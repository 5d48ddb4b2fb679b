import { headers, type Msg } from '@nats-io/nats-core';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import type { NatsLink } from '../../src/cluster/nats-connection.ts';
import { realClock } from '../../src/core/real-clock.ts';
import type { MicroService } from '../../src/integrations/nats/micro-service.ts';
import { startService, type ServiceOptions } from '../../src/integrations/nats/service.ts';
import { NatsServers } from '../support/nats.ts';

let servers: NatsServers;
let caller: NatsLink;
const links: NatsLink[] = [];
let count = 0;

t.setTimeout(120_000);
t.before(async () => {
  servers = await NatsServers.start();
  caller = await servers.connect();
  links.push(caller);
});
t.teardown(async () => {
  await Promise.all(links.map((link) => link.close()));
  await servers.stop();
});

type Handle = ServiceOptions['handle'];

const echo: Handle = (name, authorization, body) =>
  Promise.resolve({ status: 200, body: { name, authorization, input: new TextDecoder().decode(body) } });

/** A service of a cluster of its own, with a connection of its own. */
async function start(handle: Handle, others: Partial<ServiceOptions> = {}) {
  const link = await servers.connect();
  links.push(link);
  const cluster = others.cluster ?? `c${(count += 1)}`;
  const logged: string[] = [];
  const service = startService({
    client: link.client,
    clock: realClock,
    cluster,
    version: '1.2.3',
    handle,
    log: (_level, text) => logged.push(text),
    ...others,
  });
  await link.client.flush();
  t.teardown(() => service.stop(100));
  return {
    service,
    cluster,
    link,
    logged,
    subject: (name: string) => `kefu.${cluster}.api.sessions.${name}`,
  };
}

function ask(subject: string, input?: object, token?: string): Promise<Msg> {
  const sent = headers();
  if (token !== undefined) sent.set('Authorization', `Bearer ${token}`);
  return caller.client.request(subject, input === undefined ? '' : JSON.stringify(input), {
    timeout: 5000,
    headers: sent,
  });
}

async function discovered(verb: string, service: MicroService): Promise<Record<string, unknown>> {
  return (await caller.client.request(`$SRV.${verb}.kefu.${service.id}`)).json();
}

t.test('a request reaches its handler, with its header, and gets JSON back', async (t) => {
  const { subject } = await start(echo);
  const answer = await ask(subject('say'), { session: 's' }, 'T');
  t.same(answer.json(), { name: 'say', authorization: 'Bearer T', input: '{"session":"s"}' });
  t.equal(answer.headers?.get('Nats-Service-Error') ?? '', '');
  t.same((await ask(subject('list'))).json(), { name: 'list', authorization: '', input: '' });
});

t.test('the usual cluster has the short names', async (t) => {
  await start(echo, { cluster: 'kefu' });
  t.match((await ask('kefu.api.sessions.get')).json(), { name: 'get' });
});

t.test('an error bears the headers of NATS services and the body of the HTTP API', async (t) => {
  const { subject } = await start(() =>
    Promise.resolve({
      status: 429,
      body: { error: { code: 'rate_limited', message: 'too’\nmany', retry_after_ms: 40 } },
    }),
  );
  const answer = await ask(subject('get'), {});
  t.equal(answer.headers?.get('Nats-Service-Error-Code'), '429');
  t.equal(answer.headers?.get('Nats-Service-Error'), 'too’ many');
  t.same(answer.json(), { error: { code: 'rate_limited', message: 'too’\nmany', retry_after_ms: 40 } });
});

t.test('a handler with a bug is an internal error, and the next request is served', async (t) => {
  let calls = 0;
  const { subject, logged } = await start(async (...args) => {
    if ((calls += 1) === 1) throw new Error('secret');
    return echo(...args);
  });
  const answer = await ask(subject('get'), {});
  t.equal(answer.headers?.get('Nats-Service-Error-Code'), '500');
  t.match(answer.json(), { error: { code: 'internal' } });
  t.notMatch(answer.string(), /secret/);
  t.same(logged, ['the request get over NATS failed']);
  t.match((await ask(subject('get'), {})).json(), { name: 'get' });
});

t.test('an unknown outcome is not answered', async (t) => {
  const { service, subject } = await start(() => Promise.resolve(undefined));
  await t.rejects(caller.client.request(subject('say'), '{}', { timeout: 300 }), { name: 'TimeoutError' });
  const { endpoints } = (await discovered('STATS', service)) as { endpoints: { num_errors: number }[] };
  t.equal(endpoints.find((it) => (it as unknown as { name: string }).name === 'say')?.num_errors, 1);
});

t.test('it is found: PING, INFO and STATS, by kind and by id', async (t) => {
  const { service, cluster, subject } = await start((name, ...rest) =>
    name === 'close'
      ? Promise.resolve({ status: 404, body: { error: { code: 'not_found', message: 'nothing' } } })
      : echo(name, ...rest),
  );
  for (const verb of ['PING', 'INFO', 'STATS'])
    for (const kind of [`$SRV.${verb}`, `$SRV.${verb}.kefu`]) {
      const ids: string[] = [];
      const inbox = caller.client.subscribe(`answers.${cluster}.${kind}`, {
        callback: (_error, message) => void ids.push(message.json<{ id: string }>().id),
      });
      caller.client.publish(kind, '', { reply: `answers.${cluster}.${kind}` });
      await until(`${kind} is answered`, () => ids.includes(service.id));
      inbox.unsubscribe();
    }
  t.match(await discovered('PING', service), {
    type: 'io.nats.micro.v1.ping_response',
    name: 'kefu',
    id: service.id,
    version: '1.2.3',
    metadata: { cluster },
  });
  const info = (await discovered('INFO', service)) as { endpoints: object[] };
  t.match(info, { type: 'io.nats.micro.v1.info_response' });
  t.same(
    info.endpoints,
    ['get', 'list', 'say', 'close', 'transfer'].map((name) => ({
      name,
      subject: subject(name),
      queue_group: 'q',
      metadata: {},
    })),
  );
  await ask(subject('say'), {});
  await ask(subject('say'), {});
  await ask(subject('close'), {});
  const stats = (await discovered('STATS', service)) as { started: string; endpoints: { name: string }[] };
  t.match(stats, { type: 'io.nats.micro.v1.stats_response', started: /^20.*Z$/ });
  t.match(
    stats.endpoints.find((it) => it.name === 'say'),
    { num_requests: 2, num_errors: 0, last_error: '', processing_time: Number },
  );
  t.match(
    stats.endpoints.find((it) => it.name === 'close'),
    { num_requests: 1, num_errors: 1, last_error: '404: nothing' },
  );
});

t.test('beyond its limit it is busy, and afterwards it is not', async (t) => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const { service, subject } = await start(
    async (...args) => {
      await released;
      return echo(...args);
    },
    { atWorkMax: 3 },
  );
  const three = [1, 2, 3].map(() => ask(subject('say'), {}));
  await until('three are at work', () => service.atWork === 3);
  const refused = await ask(subject('say'), {});
  t.equal(refused.headers?.get('Nats-Service-Error-Code'), '503');
  t.match(refused.json(), { error: { code: 'busy', retry_after_ms: 250 } });
  release();
  for (const answer of await Promise.all(three)) t.match(answer.json(), { name: 'say' });
  t.match((await ask(subject('say'), {})).json(), { name: 'say' });
});

t.test('all instances share the requests, and one that stops finishes its own', async (t) => {
  const counts = [0, 0];
  let hold = Promise.resolve();
  const one = await start(async (...args) => {
    counts[0]! += 1;
    await hold;
    return echo(...args);
  });
  const { cluster } = one;
  await start(
    (...args) => {
      counts[1]! += 1;
      return echo(...args);
    },
    { cluster },
  );
  await Promise.all(Array.from({ length: 60 }, () => ask(one.subject('get'), {})));
  t.equal(counts[0]! + counts[1]!, 60, 'each went to one');
  t.ok(counts[0]! > 5 && counts[1]! > 5, 'both had some');

  let release = (): void => undefined;
  hold = new Promise<void>((resolve) => (release = resolve));
  const before = counts[0]!;
  const answers: Promise<Msg>[] = [];
  await until('the first has one', () => {
    answers.push(ask(one.subject('get'), {}));
    return counts[0]! > before;
  });
  const stopping = one.service.stop(5000);
  release();
  await stopping;
  for (const answer of await Promise.all(answers)) t.match(answer.json(), { name: 'get' });
  const last = counts[0]!;
  await Promise.all(Array.from({ length: 20 }, () => ask(one.subject('get'), {})));
  t.equal(counts[0], last, 'it takes no more');
});

t.test('it serves again after NATS was away', async (t) => {
  const { subject, link } = await start(echo);
  await servers.restart(0);
  await until('both are back', () => link.connected && caller.connected);
  await until('it answers', () =>
    ask(subject('get'), {}).then(
      () => true,
      () => false,
    ),
  );
  t.match((await ask(subject('get'), {})).json(), { name: 'get' });
});

t.test('where it may not listen it says so, and the rest goes on', async (t) => {
  const user = `{ user: kefu, password: k, permissions: { publish: ">", subscribe: { deny: ["$SRV.>", "*.*.api.sessions.list"] } } }`;
  const guarded = await NatsServers.start({ more: `authorization { users = [ ${user} ] }` });
  const login = { user: 'kefu', password: 'k' };
  const [link, other] = [await guarded.connect(login), await guarded.connect(login)];
  t.teardown(async () => {
    await Promise.all([link.close(), other.close()]);
    await guarded.stop();
  });
  const logged: string[] = [];
  const service = startService({
    client: link.client,
    clock: realClock,
    cluster: 'guarded',
    version: '1.2.3',
    handle: echo,
    log: (_level, text) => logged.push(text),
  });
  await until('it is told', () => logged.length === 10);
  t.match(logged[0], 'can’t listen to $SRV.PING of NATS; it is tried again');
  const answer = await other.client.request('kefu.guarded.api.sessions.get', '{}', { timeout: 5000 });
  t.match(answer.json(), { name: 'get' });
  t.ok(link.connected);
  await service.stop(1000);
});
