import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { StartError } from '../core/start-error.ts';

/** A data directory that is this process's alone. */
export interface DataDir {
  close(): Promise<void>;
}

/** Lets go; a process that dies lets go too, however it dies. */
type Release = () => void;

/**
 * Makes the directory where it is missing, and takes it for the life of this process.
 *
 * The kernel holds the lock, not a file's content: it is gone with its process, so that there is nothing stale to
 * judge after a crash, a reboot or when a process number is used again, and containers that share a volume see each
 * other. A lock file that has to be found stale and replaced can always be replaced twice. `kefu.lock` stays where it
 * is: removing it would let two processes lock two files of one name. What is in it is for people.
 */
export async function openDataDir(directory: string): Promise<DataDir> {
  try {
    // The embedded PostgreSQL runs as another user when we are root; it may pass through, but not look.
    const mode = process.getuid?.() === 0 ? 0o711 : 0o700;
    if (mkdirSync(directory, { recursive: true, mode }) !== undefined) chmodSync(directory, mode);
  } catch (error) {
    throw new StartError(`the data directory ${directory} can’t be made: ${(error as Error).message}`);
  }
  const path = join(directory, 'kefu.lock');
  let file: number;
  try {
    file = openSync(path, 'a+', 0o600);
  } catch (error) {
    throw new StartError(`the data directory ${directory} can’t be written: ${(error as Error).message}`);
  }
  const release = lockByFile(file) ?? (await lockByName(directory));
  if (release === undefined || release === 'taken') {
    const holder = /^\d+/.exec(readFileSync(path, 'latin1'))?.[0];
    closeSync(file);
    const who = holder === undefined ? '' : ` (process ${holder})`;
    throw new StartError(
      `the data directory ${directory} is in use by another kefu${who}: stop that one, or use another --data-dir`,
    );
  }
  ftruncateSync(file);
  writeSync(file, `${process.pid}\n`);
  return {
    async close() {
      release();
      closeSync(file);
    },
  };
}

/**
 * `flock` by the tool of that name, as Node has no call for it: the lock belongs to the open file, which the tool gets
 * from us and which stays open here. Undefined where the tool is missing or the file system can't.
 */
function lockByFile(file: number): Release | 'taken' | undefined {
  const { status } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
  });
  if (status === 0) return () => undefined;
  return status === 1 ? 'taken' : undefined;
}

/** A socket in Linux's abstract namespace: a name only one process can have, which ends with it. Not across containers. */
function lockByName(directory: string): Promise<Release | 'taken' | undefined> {
  const { dev, ino } = statSync(directory, { bigint: true });
  const name = createHash('sha256').update(`${dev} ${ino}`).digest('hex').slice(0, 32);
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('taken');
      else
        reject(
          new StartError(`the data directory ${directory} can’t be locked (${error.code}): install flock`),
        );
    });
    server.listen(`\0kefu-${name}`, () => resolve(() => void server.close()));
    server.unref();
  });
}
