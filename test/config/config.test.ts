import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { loadConfig, type Config } from '../../src/config.ts';
import { rootKeys, sections, type Key } from '../../src/config/keys.ts';
import { ConfigError } from '../../src/config/values.ts';
import { StartError } from '../../src/core/start-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'kefu-config-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function toml(text: string): string {
  const path = join(folder, `${(files += 1)}.toml`);
  writeFileSync(path, text);
  return path;
}

type Env = Record<string, string>;

function load(argv: readonly string[] = [], env: Env = {}): Config {
  const config = loadConfig(argv, env, () => undefined);
  if (config === undefined) throw new Error('nothing was loaded');
  return config;
}

/** The one line of the refusal. */
function refusal(argv: readonly string[] = [], env: Env = {}): string {
  try {
    load(argv, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (/[\n\r]/.test(error.message))
      throw new Error(`more than one line: ${error.message}`, { cause: error });
    return error.message;
  }
  throw new Error(`not refused: ${argv.join(' ')} ${JSON.stringify(env)}`);
}

t.test('without anything given, the defaults of the contract hold', async (t) => {
  const config = load();
  t.match(config, {
    host: '0.0.0.0',
    port: 8080,
    dataDir: resolve('data'),
    objects: { kind: 'file', directory: resolve('data/objects') },
    workers: availableParallelism(),
    demo: false,
    postgres: { url: '', sharedBuffersBytes: 128 * 2 ** 20 },
    agents: { capacity: 8, graceMs: 30_000, onAway: 'queue', reserveMs: 5_000 },
    lease: { suspectAfterMs: 2_000, ttlMs: 20_000 },
    archive: { afterMs: 30 * 86_400_000, everyMs: 600_000 },
    http: { origins: ['*'], trustProxy: false },
    log: { level: 'info', format: 'auto' },
  });
  t.match(config.limits, {
    connections: 18_000,
    connectionsPerIp: 200,
    connectsPerSecondPerIp: 50,
    requestsPerSecondPerIp: 100,
    messagesPerSecond: 20,
    frameBytes: 65_536,
    uploadBytes: 10 * 2 ** 20,
    helloMs: 10_000,
    heartbeatMs: 25_000,
  });
});

t.test('a configuration is plain data that a worker thread can be given', async (t) => {
  const config = load();
  t.same(structuredClone(config), config);
});

t.test('a flag wins over the environment, that over the file, that over the default', async (t) => {
  const file = toml('port = 1001\ndata_dir = "/a"\n[agents]\ncapacity = 3\ngrace = "45s"\n');
  const env = { KEFU_PORT: '1002', KEFU_AGENTS_CAPACITY: '4' };
  const config = load(['--config', file, '--port', '1003'], env);
  t.equal(config.port, 1003);
  t.equal(config.agents.capacity, 4);
  t.equal(config.agents.graceMs, 45_000);
  t.equal(config.dataDir, '/a');
  t.equal(load(['--config', file], env).port, 1002);
  t.equal(load(['--config', file]).port, 1001);
  t.equal(load([], { KEFU_CONFIG: file }).port, 1001);
});

t.test('a flag’s value follows it, or an equals sign', async (t) => {
  t.equal(load(['--port=1']).port, 1);
  t.equal(load(['--port', '1']).port, 1);
  t.equal(load(['--demo=false']).demo, false);
  t.match(refusal(['--port=']), /^--port: "" is not a whole number/);
  t.match(refusal(['--port']), /^--port: a value must follow/);
  t.match(refusal(['--host', '--demo']), /^--host: a value must follow/);
});

t.test('durations and sizes have units', async (t) => {
  for (const [text, ms] of Object.entries({
    '500ms': 500,
    '2s': 2_000,
    '5m': 300_000,
    '1h': 3_600_000,
    '0': 0,
  }))
    t.equal(load([], { KEFU_AGENTS_GRACE: text }).agents.graceMs, ms, text);
  t.equal(load([], { KEFU_ARCHIVE_AFTER: '30d' }).archive.afterMs, 30 * 86_400_000);
  for (const [text, bytes] of Object.entries({ '70000': 70_000, '64KiB': 65_536, '10MiB': 10_485_760 }))
    t.equal(load([], { KEFU_LIMITS_UPLOAD_BYTES: text }).limits.uploadBytes, bytes, text);
  for (const text of ['5', '5 s', '-1s', '1.5s', '1e3ms', '', 'soon'])
    t.match(
      refusal([], { KEFU_AGENTS_GRACE: text }),
      /^KEFU_AGENTS_GRACE: .* is not a duration like 500ms/,
      text,
    );
  for (const text of ['64K', '1.5MiB', '-1', '', '1 MiB'])
    t.match(
      refusal([], { KEFU_LIMITS_UPLOAD_BYTES: text }),
      /^KEFU_LIMITS_UPLOAD_BYTES: .* is not a size like/,
      text,
    );
});

t.test('no wait is longer than a timer can be', async (t) => {
  const timers = { KEFU_AGENTS_GRACE: '25d', KEFU_ACTORS_IDLE: '60d', KEFU_JOURNAL_COMMIT_WAIT: '30d' };
  for (const [name, value] of Object.entries(timers))
    t.match(refusal([], { [name]: value }), `${name}: "${value}"`);
});

t.test('what is unknown is refused by its name', async (t) => {
  t.match(refusal(['--prot', '1']), /^--prot: there is no such flag/);
  t.match(refusal(['--data_dir', '.']), /^--data_dir: there is no such flag/);
  t.match(refusal(['--constructor', '1']), /^--constructor: there is no such flag/);
  t.match(refusal([], { KEFU_LIMITS_CONECTIONS: '1' }), /^KEFU_LIMITS_CONECTIONS: there is no such setting/);
  for (const [text, name] of [
    ['prot = 1', 'prot'],
    ['[limit]\na = 1', 'limit'],
    ['[empty]', 'empty'],
    ['[limits]\nhallo = "1s"', 'limits.hallo'],
    ['limits = 5', 'limits'],
    ['"__proto__" = 1', '__proto__'],
    ['[toString]\na = 1', 'toString'],
    ['[limits]\nconstructor = 1', 'limits.constructor'],
    ['"a\\nb" = 1', 'a b'],
    ['port = 2020-01-01', 'port'],
    ['[port]', 'port'],
    ['port = {}', 'port'],
  ] as const) {
    const file = toml(text);
    const message = refusal(['--config', file]);
    t.ok(message.startsWith(file) && message.includes(name), message);
  }
});

t.test('a variable of the tests is no setting, and other variables are nobody’s business', async (t) => {
  t.equal(load([], { KEFU_TEST_HOOKS: '1', PORT: 'x', kefu_port: 'x' }).port, 8080);
});

t.test('a file that can’t be read, or is no TOML, is one line', async (t) => {
  t.match(refusal(['--config', join(folder, 'none.toml')]), /^--config: .*none\.toml can’t be read/);
  t.match(refusal([], { KEFU_CONFIG: folder }), /^KEFU_CONFIG: /);
  t.match(refusal(['--config', toml('port = = 1')]), /^--config: .*TOML/);
});

t.test('a secret is in no refusal', async (t) => {
  const word = 'hunter2';
  for (const message of [
    refusal(['--postgres', `http://u:${word}@h/d`]),
    refusal([], { KEFU_POSTGRES: word }),
    refusal([], { KEFU_AUTH_TOKEN_KEY: word }),
    refusal(['--config', toml(`[auth]\ntoken_key = ["${word}"]`)]),
    refusal(['--config', toml(`[postgres]\nurl = "${word}"`)]),
    refusal(['--config', toml(`[auth]\ntoken_key = "${word}`)]),
    refusal(['--nats', `nats://u:${word}@h`]),
    refusal(['--objects', `https://u:${word}@h`]),
    refusal(['--objects', `s3://u:${word}@h`]),
    refusal([`postgres://u:${word}@h/d`]),
  ])
    t.notMatch(message, new RegExp(word), message);
});

t.test('a cluster needs a database that its nodes share', async (t) => {
  t.match(
    refusal(['--nats', 'nats://h']),
    /^--nats: the nodes of a cluster share one database: give --postgres URL too$/,
  );
  t.match(refusal([], { KEFU_NATS: 'http://h' }), /^KEFU_NATS: its value is not URLs like nats:/);
  t.match(
    refusal([], { KEFU_LEASE_TTL: '1s' }),
    /^lease.ttl: must be at least four times lease.suspect_after$/,
  );
});

t.test('the demo listens on loopback only', async (t) => {
  t.equal(load(['--demo']).host, '127.0.0.1');
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1'])
    t.equal(load(['--demo', '--host', host]).host, host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.evil.com', '127.0.0.1.evil.com'])
    t.match(refusal(['--demo', '--host', host]), /^--host: .*--demo/, host);
  t.match(refusal(['--demo'], { KEFU_HOST: '0.0.0.0' }), /^KEFU_HOST: /);
  t.match(refusal(['--config', toml('demo = true\nhost = "0.0.0.0"')]), /toml: host: /);
});

t.test('objects are in a folder of the data directory, or where file:// says', async (t) => {
  t.strictSame(load(['--data-dir', '/d']).objects, { kind: 'file', directory: '/d/objects' });
  t.strictSame(load(['--objects', 'file:///o/x%20y']).objects, { kind: 'file', directory: '/o/x y' });
  t.match(refusal(['--objects', '/o']), /^--objects: "\/o" is not a URL like file:\/\/\/DIR/);
  t.match(refusal(['--data-dir', '']), /^--data-dir: /);
});

t.test('objects are in a bucket where s3:// says, and a wrong URL is told clearly', async (t) => {
  t.strictSame(load(['--objects', 's3://kefu']).objects, {
    kind: 's3',
    bucket: 'kefu',
    prefix: '',
    pathStyle: false,
  });
  const url = 's3://kefu/prod/eu/?endpoint=http://minio:9000/&region=eu-1&path_style=false';
  t.strictSame(load(['--objects', url]).objects, {
    kind: 's3',
    bucket: 'kefu',
    prefix: 'prod/eu/',
    endpoint: 'http://minio:9000',
    region: 'eu-1',
    pathStyle: false,
  });
  t.match(load(['--objects', 's3://kefu?endpoint=https://s3.example.com']).objects, { pathStyle: true });
  for (const [wrong, why] of [
    ['s3:kefu', /is not a URL like s3:/],
    ['s3://', /no bucket/],
    ['s3://K_', /no bucket/],
    ['s3://kefu/A b', /prefix/],
    ['s3://kefu/a/../b c', /prefix/],
    ['s3://kefu?endpoint=minio:9000', /endpoint/],
    ['s3://kefu?endpoint=http://u:hunter2@minio', /endpoint/],
    ['s3://kefu?region=EU!', /region/],
    ['s3://kefu?path_style=yes', /path_style/],
    ['s3://kefu?secret=hunter2', /endpoint, region and path_style/],
    ['s3://key:hunter2@kefu', /credentials/],
  ] as const) {
    t.match(refusal(['--objects', wrong]), why, wrong);
    t.match(refusal(['--objects', wrong]), /^--objects: /);
  }
});

t.test('PostgreSQL’s address has a name for the file too, and only one at a time', async (t) => {
  const url = 'postgres://u:p@h/d';
  t.equal(load(['--postgres', url]).postgres.url, url);
  const file = toml(`[postgres]\nurl = "${url}"\nshared_buffers = "1GiB"`);
  t.same(load(['--config', file]).postgres, { url, sharedBuffersBytes: 2 ** 30 });
  t.equal(load(['--config', file, '--postgres', `${url}2`]).postgres.url, `${url}2`);
  t.equal(load(['--config', toml(`postgres = "${url}"`)]).postgres.url, url);
  t.match(refusal([], { KEFU_POSTGRES: url, KEFU_POSTGRES_URL: url }), /the same as/);
});

t.test('a certificate needs its key, and both must be files that can be read', async (t) => {
  const file = toml('');
  t.same(load([], { KEFU_TLS_CERT: file, KEFU_TLS_KEY: file }).tls, { cert: file, key: file });
  t.match(refusal([], { KEFU_TLS_CERT: file }), /tls\.cert and tls\.key: give both, or none/);
  for (const other of [join(folder, 'none.pem'), folder, join(file, 'below')])
    t.match(refusal([], { KEFU_TLS_CERT: file, KEFU_TLS_KEY: other }), /^KEFU_TLS_KEY: .*no readable file/);
  t.match(
    refusal(['--config', toml('[tls]\ncert = "a\\u0000b"\nkey = "x"')]),
    /tls\.cert: .* is not a text of one line/,
  );
});

t.test('lists are arrays in the file and have commas in the environment', async (t) => {
  const origins = ['https://a.example', 'https://b.example'];
  t.same(load([], { KEFU_HTTP_ORIGINS: origins.join(', ') }).http.origins, origins);
  t.same(load(['--config', toml(`[http]\norigins = ${JSON.stringify(origins)}`)]).http.origins, origins);
  t.match(refusal([], { KEFU_HTTP_ORIGINS: 'https://a.example,' }), /^KEFU_HTTP_ORIGINS: /);
});

t.test('every number has its bounds, and one beyond is refused', async (t) => {
  for (const [section, keys] of Object.entries(sections as Record<string, Record<string, Key>>))
    for (const [name, key] of Object.entries(keys)) {
      const variable = `KEFU_${section}_${name}`.toUpperCase();
      const unit = key.kind === 'ms' ? 'ms' : '';
      if (key.max !== undefined)
        t.match(refusal([], { [variable]: `${key.max + 1}${unit}` }), `${variable}: `);
      if ((key.min ?? 0) > 0) t.match(refusal([], { [variable]: `${key.min! - 1}${unit}` }), `${variable}: `);
    }
  for (const port of ['-1', '65536', '8080x', '0x50', '1e3', '']) refusal(['--port', port]);
});

t.test('a frame must fit into the output buffer', async (t) => {
  t.match(refusal([], { KEFU_LIMITS_OUTPUT_BYTES: '2048' }), /limits\.output_bytes/);
});

t.test('--help and --version print and load nothing', async (t) => {
  let printed = '';
  const print = (text: string): void => void (printed += text);
  t.equal(loadConfig(['--port', 'x', '--help'], { KEFU_X: '1' }, print), undefined);
  for (const { flag } of Object.values(rootKeys as Record<string, Key>)) t.ok(printed.includes(flag!), flag!);
  printed = '';
  t.equal(loadConfig(['--version'], {}, print), undefined);
  t.match(printed, /^kefu \d+\.\d+\.\d+\n$/);
});

t.test('a refused configuration is a refused start', async (t) => {
  t.ok(new ConfigError('x') instanceof StartError);
});
