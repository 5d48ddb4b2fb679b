import { chmod, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openFileStore } from '../../src/store/object-store-file.ts';
import { objectStoreContract } from './object-store.contract.ts';

const wallMs = (): number => Date.UTC(2026, 0, 2);
const max = { maxBytes: 1000 };

objectStoreContract(t, (t: Test) => openFileStore({ directory: t.testdir(), wallMs }));

t.test('it is made where it is missing, and finds its objects when it is opened again', async (t) => {
  const directory = join(t.testdir(), 'deep', 'down');
  await (await openFileStore({ directory, wallMs })).put('a/b', Buffer.from('x'), max);
  t.match(await (await openFileStore({ directory, wallMs })).head('a/b'), { size: 1 });
});

t.test('nothing half-written is left in tmp, and what a crash left a day ago is cleared', async (t) => {
  const directory = t.testdir();
  const store = await openFileStore({ directory, wallMs });
  await store.put('k', Buffer.from('x'), max);
  await t.rejects(store.put('k', Buffer.alloc(1001), max), { code: 'too_large' });
  t.strictSame(await readdir(join(directory, 'tmp')), []);
  for (const [name, hours] of [
    ['old', 25],
    ['fresh', 1],
  ] as const) {
    const path = join(directory, 'tmp', name);
    await writeFile(path, 'half');
    const at = new Date(wallMs() - hours * 3_600_000);
    await utimes(path, at, at);
  }
  await openFileStore({ directory, wallMs });
  t.strictSame(await readdir(join(directory, 'tmp')), ['fresh']);
});

t.test('a directory that is gone or is no directory is unavailable, with its cause', async (t) => {
  const directory = t.testdir({ file: 'x', store: {} });
  const store = await openFileStore({ directory: join(directory, 'store'), wallMs });
  await rm(join(directory, 'store'), { recursive: true });
  await t.rejects(store.put('k', Buffer.from('x'), max), { code: 'unavailable', cause: { code: 'ENOENT' } });
  await t.rejects(openFileStore({ directory: join(directory, 'file'), wallMs }), { code: 'unavailable' });
});

t.test(
  'a file that may not be read is unavailable',
  { skip: process.getuid?.() === 0 && 'root may' },
  async (t) => {
    const directory = t.testdir();
    const store = await openFileStore({ directory, wallMs });
    await store.put('k', Buffer.from('x'), max);
    const folders = (await readdir(directory)).filter((name) => name !== 'tmp');
    for (const folder of folders) {
      for (const name of await readdir(join(directory, folder)))
        await chmod(join(directory, folder, name), 0);
    }
    await t.rejects(store.get('k'), { code: 'unavailable' });
  },
);
