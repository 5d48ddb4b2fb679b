import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../core/start-error.ts';

/** A data directory that is this process's alone. */
export interface DataDir {
  close(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  /** When the process and the machine started: a number of a process is used again. */
  readonly started: string;
  readonly boot: string;
}

const attemptsMax = 20;

/**
 * Makes the directory where it is missing, and takes it for the life of this process. The lock is a file made
 * elsewhere and linked into place, which only one of many can do; one whose process is gone is moved away first, which
 * again only one can do.
 */
export async function openDataDir(directory: string): Promise<DataDir> {
  try {
    // Others may pass through but not look: the embedded PostgreSQL runs as another user when we are root.
    mkdirSync(directory, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw new StartError(`the data directory ${directory} can’t be made: ${(error as Error).message}`);
  }
  const lock = join(directory, 'kefu.lock');
  const mine = join(directory, `kefu.lock.${process.pid}.${process.hrtime.bigint()}`);
  const self: Holder = { pid: process.pid, started: startOf(process.pid) ?? '', boot: bootId() };
  try {
    writeFileSync(mine, JSON.stringify(self), { mode: 0o600 });
  } catch (error) {
    throw new StartError(`the data directory ${directory} can’t be written: ${(error as Error).message}`);
  }
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      if (link(mine, lock)) return { close: async () => rmSync(lock, { force: true }) };
      const holder = read(lock);
      if (holder !== undefined && isAlive(holder)) {
        throw new StartError(
          `the data directory ${directory} is in use by another kefu (process ${holder.pid}): stop that one, or use another --data-dir`,
        );
      }
      moveAway(lock, `${mine}.stale`, holder);
    }
    throw new StartError(`the lock ${lock} can’t be taken: remove it if no kefu uses this directory`);
  } finally {
    rmSync(mine, { force: true });
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes a dead holder's lock out of the way; if a living one's was caught instead, it is put back. */
function moveAway(lock: string, aside: string, dead: Holder | undefined): void {
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  const moved = read(aside);
  const isSame = moved?.pid === dead?.pid && moved?.started === dead?.started && moved?.boot === dead?.boot;
  if (!isSame && moved !== undefined && isAlive(moved)) link(aside, lock);
  unlinkSync(aside);
}

function read(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  return holder.boot === bootId() && startOf(holder.pid) === holder.started;
}

/** The process's start in the kernel's ticks; undefined when there is no such process, or only its remains. */
function startOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
