import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import type { ObjectInfo, ObjectRange, ObjectStore } from '../../src/store/object-store.ts';

/** The laws of `ObjectStore`, run on every adapter. `open` gives an empty store. */
export function objectStoreContract(t: Test, open: (t: Test) => Promise<ObjectStore>): void {
  const max = { maxBytes: 1_000_000 };

  t.test('what was put is got again, whole, in one piece or in many', async (t) => {
    const store = await open(t);
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7) % 251));
    const expected = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    t.strictSame(await store.put('a/one', bytes, max), expected);
    t.strictSame(await store.put('a/many', piecesOf(bytes, 777), max), expected);
    for (const key of ['a/one', 'a/many']) t.ok((await read(store, key)).equals(bytes), key);
  });

  t.test('an empty object is an object', async (t) => {
    const store = await open(t);
    t.match(await store.put('empty', Buffer.alloc(0), max), { size: 0 });
    t.equal((await read(store, 'empty')).length, 0);
    t.match(await store.head('empty'), { key: 'empty', size: 0, modifiedAtMs: Number });
  });

  t.test('a range is cut at the end, and the size is the whole object’s', async (t) => {
    const store = await open(t);
    await store.put('digits', Buffer.from('0123456789'), max);
    const ranges: [ObjectRange, string][] = [
      [{ offset: 0, length: 3 }, '012'],
      [{ offset: 7, length: 3 }, '789'],
      [{ offset: 7, length: 100 }, '789'],
      [{ offset: 4, length: 0 }, ''],
      [{ offset: 10, length: 5 }, ''],
      [{ offset: 99, length: 5 }, ''],
    ];
    for (const [range, text] of ranges) {
      t.equal((await read(store, 'digits', range)).toString(), text, JSON.stringify(range));
      const { size, stream } = await store.get('digits', range);
      stream.destroy();
      t.equal(size, 10);
    }
    for (const range of [
      { offset: -1, length: 1 },
      { offset: 0, length: 0.5 },
      { offset: Number.NaN, length: 1 },
    ]) {
      await t.rejects(store.get('digits', range), { code: 'bad_request' });
    }
  });

  t.test('a second put takes the first one’s place', async (t) => {
    const store = await open(t);
    await store.put('k', Buffer.from('the first, which is longer'), max);
    await store.put('k', Buffer.from('second'), max);
    t.equal((await read(store, 'k')).toString(), 'second');
    t.equal((await collect(store.list('k'))).length, 1);
  });

  t.test('what is not there is not_found, undefined, or deleted already', async (t) => {
    const store = await open(t);
    await t.rejects(store.get('nothing'), { code: 'not_found' });
    t.equal(await store.head('nothing'), undefined);
    await store.delete('nothing');
    await store.put('gone', Buffer.from('x'), max);
    await store.delete('gone');
    await t.rejects(store.get('gone'), { code: 'not_found' });
    t.equal(await store.head('gone'), undefined);
    t.strictSame(await collect(store.list('')), []);
  });

  t.test('beyond the maximum it stops reading, and leaves what was there', async (t) => {
    const store = await open(t);
    await store.put('k', Buffer.from('before'), max);
    let given = 0;
    let isClosed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          given += 100;
          yield Buffer.alloc(100);
        }
      } finally {
        isClosed = true;
      }
    }
    await t.rejects(store.put('k', endless(), { maxBytes: 1000 }), { code: 'too_large' });
    t.ok(given <= 1100, `${given} bytes were taken`);
    t.ok(isClosed, 'the source was closed');
    await t.rejects(store.put('k', Buffer.alloc(1001), { maxBytes: 1000 }), { code: 'too_large' });
    t.equal((await read(store, 'k')).toString(), 'before');
    t.match(
      await store.put('k', Buffer.alloc(1000), { maxBytes: 1000 }),
      { size: 1000 },
      'the maximum itself passes',
    );
  });

  t.test('content that fails leaves what was there, and its own error comes out', async (t) => {
    const store = await open(t);
    await store.put('k', Buffer.from('before'), max);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half');
      throw new Error('the sender has gone');
    }
    await t.rejects(store.put('k', broken(), max), /the sender has gone/);
    t.equal((await read(store, 'k')).toString(), 'before');
    await t.rejects(store.put('new', broken(), max), /the sender has gone/);
    t.equal(await store.head('new'), undefined);
    t.strictSame(keysOf(await collect(store.list(''))), ['k']);
  });

  t.test('list gives the objects whose keys begin with the prefix', async (t) => {
    const store = await open(t);
    const keys = ['a', 'a/b', 'a/b/c', 'ab', 'b-1_x.txt', 'sessions/0190b8a0/1'];
    for (const key of keys) await store.put(key, Buffer.from(key), max);
    t.strictSame(keysOf(await collect(store.list(''))), keys);
    t.strictSame(keysOf(await collect(store.list('a'))), ['a', 'a/b', 'a/b/c', 'ab']);
    t.strictSame(keysOf(await collect(store.list('a/'))), ['a/b', 'a/b/c']);
    t.strictSame(keysOf(await collect(store.list('zz'))), []);
    for (const key of keys) t.equal((await read(store, key)).toString(), key);
    const [first] = await collect(store.list('sessions/'));
    t.match(first, { key: 'sessions/0190b8a0/1', size: 19, modifiedAtMs: Number });
  });

  t.test('keys that can’t be are refused by all that take one', async (t) => {
    const store = await open(t);
    const wrong = [
      '',
      '/a',
      '.a',
      '../a',
      'a/../b',
      'a..b',
      'A',
      'a b',
      'a~b',
      'a\0b',
      'a\n',
      'é',
      'x'.repeat(201),
    ];
    for (const key of wrong) {
      const name = JSON.stringify(key).slice(0, 20);
      await t.rejects(store.put(key, Buffer.from('x'), max), { code: 'bad_request' }, name);
      await t.rejects(store.get(key), { code: 'bad_request' }, name);
      await t.rejects(store.head(key), { code: 'bad_request' }, name);
      await t.rejects(store.delete(key), { code: 'bad_request' }, name);
    }
    await t.rejects(collect(store.list('../')), { code: 'bad_request' });
    await store.put('x'.repeat(200), Buffer.from('x'), max);
  });

  t.test('of many puts at once to one key, one is kept whole', async (t) => {
    const store = await open(t);
    const contents = Array.from({ length: 10 }, (_, index) => Buffer.alloc(20_000 + index, index));
    await Promise.all(contents.map((content) => store.put('k', piecesOf(content, 1000), max)));
    const kept = await read(store, 'k');
    t.ok(contents.some((content) => content.equals(kept)));
  });

  t.test('a reader that began before a put or a delete reads to the end what it began', async (t) => {
    const store = await open(t);
    const first = Buffer.alloc(300_000, 1);
    for (const change of [
      store.put.bind(store, 'k', Buffer.from('second'), max),
      store.delete.bind(store, 'k'),
    ]) {
      await store.put('k', first, max);
      const { stream } = await store.get('k');
      await change();
      t.ok(Buffer.concat(await collect(stream as AsyncIterable<Buffer>)).equals(first));
    }
  });
}

async function* piecesOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(store: ObjectStore, key: string, range?: ObjectRange): Promise<Buffer> {
  const { stream } = await store.get(key, range);
  return Buffer.concat(await collect(stream as AsyncIterable<Buffer>));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function keysOf(infos: readonly ObjectInfo[]): string[] {
  return infos.map((info) => info.key).sort();
}
