import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUser } from '@nats-io/nkeys';
import t, { type Test } from 'tap';
import { until } from '../../scripts/processes.ts';
import type { NatsEvent, NatsOptions } from '../../src/cluster/nats-connection.ts';
import { NatsServers } from '../support/nats.ts';

const folder = mkdtempSync(join(tmpdir(), 'kefu-nats-auth-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

async function serversWith(t: Test, more: string): Promise<NatsServers> {
  const servers = await NatsServers.start({ more });
  t.teardown(() => servers.stop());
  return servers;
}

async function works(t: Test, servers: NatsServers, options: Partial<NatsOptions>): Promise<void> {
  const link = await servers.connect(options);
  await link.client.flush();
  t.equal(link.connected, true);
  await link.close();
  t.equal(link.connected, false);
}

/** One line that says where and why, and nothing of what must not be seen. */
async function isRefused(
  t: Test,
  servers: NatsServers,
  options: Partial<NatsOptions>,
  why: RegExp,
): Promise<void> {
  const error: unknown = await servers.connect(options).then(
    (link) => link.close(),
    (reason: unknown) => reason,
  );
  t.ok(error instanceof Error, 'it is refused');
  const text = error instanceof Error ? error.message : '';
  t.match(text, why);
  t.notMatch(text, /\n|secret|SUA/);
}

const refusedLogin = /can't connect to NATS at 127\.0\.0\.1:\d+: it refused the user, password, token or key/;

t.test('user and password', async (t) => {
  const servers = await serversWith(t, 'authorization { user: kefu, password: "secret-1" }');
  await works(t, servers, { user: 'kefu', password: 'secret-1' });
  await works(t, servers, {
    servers: servers.urls.map((url) => url.replace('//', '//kefu:secret%2D1@')),
  });
  await isRefused(t, servers, { user: 'kefu', password: 'secret-2' }, refusedLogin);
  await isRefused(t, servers, {}, refusedLogin);
  await isRefused(
    t,
    servers,
    { servers: servers.urls.map((url) => url.replace('//', '//kefu:secret-3@')) },
    refusedLogin,
  );
});

t.test('a token', async (t) => {
  const servers = await serversWith(t, 'authorization { token: "secret-token" }');
  await works(t, servers, { token: 'secret-token' });
  await isRefused(t, servers, { token: 'secret-other' }, refusedLogin);
});

t.test('an nkey, as text and as a file', async (t) => {
  const user = createUser();
  const seed = new TextDecoder().decode(user.getSeed());
  const servers = await serversWith(t, `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`);
  await works(t, servers, { nkey: seed });
  const file = join(folder, 'seed.nk');
  writeFileSync(file, `${seed}\n`);
  await works(t, servers, { nkey: file });
  await isRefused(t, servers, { nkey: new TextDecoder().decode(createUser().getSeed()) }, refusedLogin);
  await isRefused(
    t,
    servers,
    { nkey: seed.slice(0, -1) },
    /the file with the nkey seed for NATS does not exist/,
  );
  writeFileSync(file, 'something secret');
  await isRefused(t, servers, { nkey: file }, /neither a user’s seed/);
  await isRefused(t, servers, { creds: join(folder, 'none.creds') }, /credentials for NATS does not exist/);
});

t.test('TLS, with the server checked, and the client too', async (t) => {
  const files = certificates();
  const tls = (verify: boolean): string =>
    `tls { cert_file: "${files.cert}", key_file: "${files.key}", ca_file: "${files.ca}", verify: ${verify} }`;
  const servers = await serversWith(t, tls(false));
  await works(t, servers, { tlsCa: files.ca });
  await isRefused(t, servers, {}, /certificate/);
  await isRefused(t, servers, { tlsCa: join(folder, 'none.pem') }, /none\.pem/);
  const strict = await serversWith(t, tls(true));
  await works(t, strict, { tlsCa: files.ca, tlsCert: files.cert, tlsKey: files.key });
  await isRefused(t, strict, { tlsCa: files.ca }, /can't connect to NATS at/);
  const plain = await serversWith(t, 'debug: false');
  await isRefused(t, plain, { servers: [plain.urls[0]!.replace('nats:', 'tls:')] }, /tls|TLS/);
});

t.test('nobody there, somebody else there, and no address at all', async (t) => {
  const servers = await serversWith(t, 'debug: false');
  const [url] = servers.urls;
  await servers.kill(0);
  await isRefused(t, servers, {}, /connection refused/);
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, '0.0.0.0');
  await new Promise((resolve) => silent.once('listening', resolve));
  t.teardown(() => {
    // The client leaves its own open when a first connection fails in this way.
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as { port: number };
  const startMs = performance.now();
  await isRefused(t, servers, { servers: [`nats://127.0.0.1:${port}`] }, /no answer within 2 s/);
  const many = Array.from({ length: 4 }, (_, index) => `nats://127.0.0.${index + 1}:${port}`);
  await isRefused(t, servers, { servers: many }, /no answer within [25] s/);
  t.ok(performance.now() - startMs < 8500, '5 s in all');
  await isRefused(t, servers, { servers: [] }, /no NATS servers/);
  await isRefused(t, servers, { servers: ['http://u:secret@x:1'] }, /nats:\/\/host:port/);
  await servers.restart(0);
  await t.test('a server that was down at first is used later', async (t) => {
    const other = await serversWith(t, 'debug: false');
    await other.kill(0);
    const events: NatsEvent[] = [];
    const link = await servers.connect({ servers: [...other.urls, url!] }, (event) => events.push(event));
    await other.restart(0);
    await servers.kill(0);
    await until('it has changed over', () => events.some((it) => it.type === 'connected'));
    t.equal(link.connected, true);
    t.match(events, [{ type: 'disconnected' }, { type: 'connected' }]);
    await link.close();
    t.equal(events.at(-1)?.type, 'closed');
  });
});

t.test(
  'a login that is refused after a restart is told once, and mended when it is taken again',
  async (t) => {
    const servers = await serversWith(t, 'authorization { user: kefu, password: "secret-1" }');
    const events: NatsEvent[] = [];
    const link = await servers.connect({ user: 'kefu', password: 'secret-1' }, (event) => events.push(event));
    await servers.restartWith(0, (config) => config.replace('secret-1', 'secret-2'));
    await until('it is told', () => events.some((it) => it.type === 'error'));
    await servers.restartWith(0, (config) => config.replace('secret-2', 'secret-1'));
    await until('it is back', () => link.connected);
    t.equal(events.filter((it) => it.type === 'error').length, 1);
    t.notMatch(JSON.stringify(events), /secret/);
    await link.close();
  },
);

function certificates(): { ca: string; cert: string; key: string } {
  const paths = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const run = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
  const how = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const caKey = join(folder, 'ca-key.pem');
  run('req', '-x509', ...how, '-keyout', caKey, '-out', paths.ca, '-subj', '/CN=kefu test CA');
  const issue = ['-CA', paths.ca, '-CAkey', caKey, '-addext', 'basicConstraints=critical,CA:FALSE'];
  run(
    'req',
    '-x509',
    ...how,
    '-keyout',
    paths.key,
    '-out',
    paths.cert,
    '-subj',
    '/CN=kefu',
    '-addext',
    names,
    ...issue,
  );
  return paths;
}
