import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { KefuError } from '../core/errors.ts';
import { hash32 } from '../core/ids.ts';
import { checkObjectKey, checkObjectRange, objectNotFound } from './object-store.ts';
import type {
  ObjectContent,
  ObjectInfo,
  ObjectRange,
  ObjectRead,
  ObjectStore,
  StoredObject,
} from './object-store.ts';

/**
 * Objects as files:
 *
 *     DIR/7f/sessions~0190b8a0…   one of 256 folders by the key's hash; the key with ~ for /
 *     DIR/tmp/…                   what is still being written
 *
 * With ~ for / a key is a single name: `a` and `a/b` can both be there, and no key leads out of its folder. A write
 * is a new file, fsync, rename, fsync of the folder: whole or not at all, also after a power cut.
 */

const folders = 256;
/** A file in `tmp` that is older was left by a crash. */
const leftoverAfterMs = 24 * 3_600_000;
const readChunkBytes = 64 * 1024;

export interface FileStoreOptions {
  readonly directory: string;
  /** The calendar, to know leftovers by their age. */
  readonly wallMs: () => number;
}

/** Makes the directory where it is missing and clears what a crash left; `unavailable` where it can't be written. */
export async function openFileStore(options: FileStoreOptions): Promise<ObjectStore> {
  const store = new FileStore(options.directory);
  await attempt(() => store.prepare(options.wallMs()));
  return store;
}

class FileStore implements ObjectStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async prepare(nowMs: number): Promise<void> {
    const temporary = join(this.#directory, 'tmp');
    await makeFolder(temporary);
    // All at once, so that no write ever waits for, or races for, the fsync of a new folder.
    for (let folder = 0; folder < folders; folder += 1) {
      await mkdir(join(this.#directory, folderName(folder)), { recursive: true, mode: 0o750 });
    }
    await syncFolder(this.#directory);
    for (const name of await readdir(temporary)) {
      const path = join(temporary, name);
      const found = await ifThere(stat(path));
      if (found !== undefined && nowMs - found.mtimeMs > leftoverAfterMs) await rm(path, { force: true });
    }
  }

  async put(
    key: string,
    content: ObjectContent,
    options: { readonly maxBytes: number },
  ): Promise<StoredObject> {
    const path = this.#pathOf(key);
    const temporary = join(this.#directory, 'tmp', randomBytes(12).toString('hex'));
    try {
      const stored = await writeFile(temporary, content, options.maxBytes);
      await attempt(async () => {
        await rename(temporary, path);
        await syncFolder(dirname(path));
      });
      return stored;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async get(key: string, range?: ObjectRange): Promise<ObjectRead> {
    const path = this.#pathOf(key);
    if (range !== undefined) checkObjectRange(range);
    const handle = await attempt(() => ifThere(open(path, 'r')));
    if (handle === undefined) throw objectNotFound(key);
    try {
      const { size } = await attempt(() => handle.stat());
      const start = Math.min(range?.offset ?? 0, size);
      const length = Math.min(range?.length ?? size, size - start);
      // A read stream's `end` is the last byte's place: it can't say "nothing".
      if (length > 0) return { size, stream: streamOf(handle, start, length) };
      await handle.close();
      return { size, stream: Readable.from([]) };
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const path = this.#pathOf(key);
    const found = await attempt(() => ifThere(stat(path)));
    return found && { key, size: found.size, modifiedAtMs: found.mtimeMs };
  }

  /** Without fsync: an object that a power cut brings back is found by `list` and deleted again. */
  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    await attempt(() => rm(path, { force: true }));
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    if (prefix !== '') checkObjectKey(prefix);
    const namePrefix = nameOf(prefix);
    for (let folder = 0; folder < folders; folder += 1) {
      const path = join(this.#directory, folderName(folder));
      const names = (await attempt(() => ifThere(readdir(path)))) ?? [];
      for (const name of names) {
        if (!name.startsWith(namePrefix)) continue;
        // It may be deleted between the two.
        const info = await this.head(name.replaceAll('~', '/'));
        if (info !== undefined) yield info;
      }
    }
  }

  #pathOf(key: string): string {
    checkObjectKey(key);
    return join(this.#directory, folderName(hash32(key) % folders), nameOf(key));
  }
}

function nameOf(key: string): string {
  return key.replaceAll('/', '~');
}

function folderName(folder: number): string {
  return folder.toString(16).padStart(2, '0');
}

async function writeFile(path: string, content: ObjectContent, maxBytes: number): Promise<StoredObject> {
  const handle = await attempt(() => open(path, 'wx', 0o640));
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      size += chunk.length;
      if (size > maxBytes)
        throw new KefuError('too_large', `an object here must be at most ${maxBytes} bytes`);
      hash.update(chunk);
      await attempt(() => handle.writeFile(chunk));
    }
    await attempt(() => handle.sync());
    return { size, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

function streamOf(handle: FileHandle, start: number, length: number): Readable {
  return handle.createReadStream({ start, end: start + length - 1, highWaterMark: readChunkBytes });
}

/** A new folder must outlive a power cut as well as the files in it. */
async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o750 });
  if (made === undefined) return;
  for (let folder = path; ; folder = dirname(folder)) {
    await syncFolder(dirname(folder));
    if (folder === made) return;
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Undefined for what isn't there. */
async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What the file system refuses may work later: a full disk, a lost mount. */
async function attempt<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KefuError('unavailable', `the object store failed (${code})`, { cause: error });
  }
}
