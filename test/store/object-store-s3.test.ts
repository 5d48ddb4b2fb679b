import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { parseObjectsUrl } from '../../src/core/objects-url.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { openS3Store, type S3StoreOptions } from '../../src/store/object-store-s3.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { bucket, S3Server, type Fault } from '../support/s3.ts';
import { objectStoreContract } from './object-store.contract.ts';

t.setTimeout(120_000);
const s3 = await S3Server.start(t.testdir());
t.teardown(() => s3.stop());

/** No machine is too slow for these; they are waited for only where something hangs in a body. */
const calm = {
  connectMs: 5000,
  answerMs: 10_000,
  sendMs: 10_000,
  idleMs: 1000,
  bytesPerSecondMin: 1e6,
  backoffMs: 5,
};
/** For what never answers. */
const quick = { ...calm, connectMs: 500, answerMs: 300, sendMs: 300, idleMs: 100 };
/** All attempts with their waits, and a slow machine. */
const boundMs = 6000;
let stores = 0;
let retries = 0;

interface Opened {
  readonly store: ObjectStore;
  readonly prefix: string;
}

/** Each in a part of the bucket of its own. */
function open(t: Test, more: Partial<S3StoreOptions> = {}, endpoint = s3.endpoint): Opened {
  stores += 1;
  const prefix = `store-${stores}`;
  const location = parseObjectsUrl(`s3://${bucket}/${prefix}?endpoint=${endpoint}`);
  if (location.kind !== 's3') throw new Error('not S3');
  const options = { location, clock: realClock, chance: realChance, limits: calm, ...more };
  const store = openS3Store({ ...options, retried: () => void (retries += 1) });
  t.teardown(() => store.close());
  s3.plan();
  retries = 0;
  return { store, prefix };
}

const max = { maxBytes: 100_000_000 };
const content = Buffer.from(Array.from({ length: 90_000 }, (_, index) => (index * 31) % 253));
const inParts = { partBytes: 40_000 };

async function read(store: ObjectStore, key: string): Promise<Buffer> {
  const { stream } = await store.get(key);
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 7777) yield bytes.subarray(at, at + 7777);
}

void t.test('with room in one part', async (t) => {
  objectStoreContract(t, async (t) => open(t, { limits: {} }).store);
});

void t.test('in small parts and small pages', async (t) => {
  objectStoreContract(t, async (t) => open(t, { limits: {}, partBytes: 20_000, pageObjects: 2 }).store);
});

void t.test('a stream of unknown length goes up in parts of which one is held', async (t) => {
  const { store } = open(t, inParts);
  const stored = await store.put('big', pieces(content), max);
  t.equal(stored.size, content.length);
  t.ok((await read(store, 'big')).equals(content));
  const parts = s3.asked.filter((it) => it.query.has('partNumber'));
  t.strictSame(
    parts.map((it) => it.query.get('partNumber')),
    ['1', '2', '3'],
  );
});

void t.test('an upload in parts that fails is aborted, and nothing is kept', async (t) => {
  const { store } = open(t, { ...inParts, limits: { ...calm, sendMs: quick.sendMs } });
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield content;
    throw new Error('the sender has gone');
  }
  const aborts = (): number =>
    s3.asked.filter((it) => it.method === 'DELETE' && it.query.has('uploadId')).length;
  await t.rejects(store.put('big', broken(), max), /the sender has gone/);
  t.equal(aborts(), 1);
  await t.rejects(store.put('big', pieces(content), { maxBytes: 85_000 }), { code: 'too_large' });
  t.equal(aborts(), 2);
  s3.plan((asked) => (asked.query.get('partNumber') === '2' ? { type: 'hang' } : undefined));
  await t.rejects(store.put('big', pieces(content), max), { code: 'unavailable' });
  t.equal(aborts(), 1);
  t.equal(await store.head('big'), undefined);
});

void t.test('an upload whose last answer was lost is found to be there, or not', async (t) => {
  const { store } = open(t, inParts);
  for (const first of [{ type: 'resetAfter' }, { type: 'reset' }] as const) {
    let ends = 0;
    s3.plan((asked) => {
      if (asked.method !== 'POST' || !asked.query.has('uploadId')) return undefined;
      ends += 1;
      return ends === 1 ? first : { type: 'answer', status: 404, code: 'NoSuchUpload' };
    });
    const put = store.put(`after-${first.type.toLowerCase()}`, content, max);
    if (first.type === 'reset')
      await t.rejects(put, { code: 'unavailable', cause: { name: 'NoSuchUpload' } });
    else t.match(await put, { size: content.length });
    t.equal(ends, 2);
  }
  t.ok((await read(store, 'after-resetafter')).equals(content));
  t.strictSame(await keysOf(store), ['after-resetafter']);
});

const limitsFor = (fault: Fault): typeof calm => (fault.type === 'hang' ? quick : calm);
const passing: readonly (readonly [string, Fault])[] = [
  ['500', { type: 'answer', status: 500, code: 'InternalError' }],
  ['503 SlowDown', { type: 'answer', status: 503, code: 'SlowDown' }],
  ['a reset', { type: 'reset' }],
  ['a reset after the work', { type: 'resetAfter' }],
  ['no answer', { type: 'hang' }],
];

for (const [name, fault] of passing) {
  void t.test(`once ${name}: all goes through by the next attempt`, async (t) => {
    const { store } = open(t, { limits: limitsFor(fault) });
    const once = (): void => s3.plan((_asked, number) => (number === 0 ? fault : undefined));
    once();
    await store.put('k', content, max);
    once();
    t.match(await store.head('k'), { size: content.length });
    once();
    t.ok((await read(store, 'k')).equals(content));
    once();
    t.strictSame(await keysOf(store), ['k']);
    once();
    await store.delete('k');
    t.ok(retries >= 5, `${retries} further attempts`);
  });

  void t.test(`always ${name}: unavailable in bounded time`, async (t) => {
    const { store } = open(t, { limits: limitsFor(fault) });
    s3.plan(() => fault);
    const began = realClock.nowMs();
    await t.rejects(store.put('k', content, max), { code: 'unavailable', cause: { name: String } });
    await t.rejects(store.get('k'), { code: 'unavailable', cause: { name: String } });
    await t.rejects(store.head('k'), { code: 'unavailable', cause: { name: String } });
    await t.rejects(keysOf(store), { code: 'unavailable', cause: { name: String } });
    await t.rejects(store.delete('k'), { code: 'unavailable', cause: { name: String } });
    t.ok(realClock.nowMs() - began < 5 * boundMs);
    t.equal(s3.asked.length, 15, 'three attempts each');
  });
}

const inBody: readonly (readonly [string, Fault])[] = [
  ['cut in the middle', { type: 'cut' }],
  ['half of the bytes as if they were all', { type: 'short' }],
  ['a flipped bit', { type: 'flip' }],
  ['no second half', { type: 'hangInBody' }],
  ['drops at long intervals', { type: 'drip', bytes: 100, everyMs: 20 }],
];

for (const [name, fault] of inBody) {
  void t.test(`a body with ${name} never passes for the object`, async (t) => {
    const { store } = open(t);
    await store.put('k', content, max);
    s3.plan((asked) => (asked.method === 'GET' ? fault : undefined));
    const began = realClock.nowMs();
    await t.rejects(read(store, 'k'), { code: 'unavailable' });
    t.ok(realClock.nowMs() - began < boundMs);
    s3.plan();
    t.ok((await read(store, 'k')).equals(content), 'and the next read is whole');
  });
}

void t.test('a range that comes cut, short or as another one is unavailable', async (t) => {
  const { store } = open(t);
  await store.put('k', content, max);
  for (const fault of [{ type: 'cut' }, { type: 'short' }, { type: 'hangInBody' }] as const) {
    s3.plan(() => fault);
    await t.rejects(
      store.get('k', { offset: 1000, length: 50_000 }).then(({ stream }) => stream.toArray()),
      { code: 'unavailable' },
    );
  }
  s3.plan(() => ({ type: 'nonsense' }));
  await t.rejects(store.get('k', { offset: 10, length: 5 }), { code: 'unavailable' });
});

void t.test('a bit that flips on its way up is sent again, or refused', async (t) => {
  const { store } = open(t, inParts);
  s3.plan((_asked, number) => (number === 0 ? { type: 'flipUp' } : undefined));
  await store.put('small', content.subarray(0, 1000), max);
  t.ok((await read(store, 'small')).equals(content.subarray(0, 1000)));
  s3.plan((asked) => (asked.query.has('partNumber') ? { type: 'flipUp' } : undefined));
  await t.rejects(store.put('big', content, max), { code: 'unavailable', cause: { name: 'BadDigest' } });
  t.equal(await store.head('big'), undefined);
});

void t.test('what can’t be mended is not tried again, and tells no secrets', async (t) => {
  const { store } = open(t);
  for (const [status, code] of [
    [403, 'SignatureDoesNotMatch'],
    [403, 'AccessDenied'],
    [404, 'NoSuchBucket'],
    [400, 'InvalidRequest'],
  ] as const) {
    s3.plan(() => ({ type: 'answer', status, code }));
    const error = await store.put('k', content, max).then(
      () => undefined,
      (it: unknown) => it as Error & { cause: Error },
    );
    t.match(error, { code: 'unavailable', cause: { name: code, status } });
    t.equal(s3.asked.length, 1, code);
    const shown = JSON.stringify([error, error?.cause, error?.message, error?.cause.message, error?.stack]);
    t.notMatch(shown, /S3RVER|top secret/);
  }
});

void t.test('a bucket that is not there is not an object that is not there', async (t) => {
  const location = parseObjectsUrl(`s3://not-made?endpoint=${s3.endpoint}`);
  if (location.kind !== 's3') throw new Error('not S3');
  const store = openS3Store({ location, clock: realClock, chance: realChance, limits: quick });
  t.teardown(() => store.close());
  s3.plan();
  await t.rejects(store.get('k'), { code: 'unavailable', cause: { name: 'NoSuchBucket' } });
  await t.rejects(store.put('k', content, max), { code: 'unavailable' });
});

void t.test(
  'a server that is not there, or takes connections and says nothing, is unavailable',
  async (t) => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const { store } = open(t, { limits: quick }, `http://127.0.0.1:${port}`);
    const began = realClock.nowMs();
    await t.rejects(store.get('k'), { code: 'unavailable', cause: { name: 'TimeoutError' } });
    await t.rejects(store.put('k', content, max), { code: 'unavailable' });
    t.ok(realClock.nowMs() - began < 2 * boundMs);
    silent.close();
    const gone = open(t, {}, `http://127.0.0.1:${port}`).store;
    await t.rejects(gone.get('k'), { code: 'unavailable', cause: { name: 'ECONNREFUSED' } });
  },
);

void t.test('keys are kept below the prefix, and others’ are not seen', async (t) => {
  const { store, prefix } = open(t);
  const other = open(t).store;
  await store.put('a/b', content, max);
  t.ok(s3.asked.some((it) => it.path === `/${bucket}/${prefix}/a/b`));
  t.strictSame(await keysOf(other), []);
  t.strictSame(await keysOf(store), ['a/b']);
});
