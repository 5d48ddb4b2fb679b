import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../core/start-error.ts';

/** What a PostgreSQL that was not stopped has left behind. */

/** Time to end by itself, then less and less politely. */
const steps = [
  ['SIGINT', 4_000],
  ['SIGQUIT', 4_000],
  ['SIGKILL', 4_000],
] as const;

/**
 * Ends whoever still serves this cluster: we hold the data directory, so it serves nobody. Processes are known by where
 * they work, which is the cluster's folder for the postmaster and for all its children: a number in a file may be
 * anybody's by now. Children that outlive their postmaster hold its shared memory, and no new one would start.
 */
export async function endRemains(cluster: string, socketFile: string): Promise<void> {
  const folder = realpathSync(cluster);
  let isOver = processesIn(folder).length === 0;
  for (const [signal, waitMs] of steps) {
    if (isOver) break;
    const found = processesIn(folder);
    const postmaster = postmasterPid(cluster);
    // The postmaster ends its children in order; they are told themselves only when it is gone.
    const told = found.filter((pid) => pid === postmaster);
    for (const pid of told.length > 0 ? told : found) tell(pid, signal);
    isOver = await poll(() => processesIn(folder).length === 0, waitMs);
  }
  const [pid] = processesIn(folder);
  if (pid !== undefined)
    throw new StartError(
      `an earlier PostgreSQL of ${cluster} (process ${pid}) does not end: stop it by hand`,
    );
  // The number in its files may be that of a process that nobody has reaped, or of another one by now; PostgreSQL would
  // give up on that.
  for (const file of [join(cluster, 'postmaster.pid'), `${socketFile}.lock`]) rmSync(file, { force: true });
}

/** The number in postmaster.pid, and whether that server says that it is ready. */
export function postmasterPid(cluster: string): number | undefined {
  return readPidFile(cluster)?.pid;
}

export function isReady(cluster: string, pid: number | undefined): boolean {
  const found = readPidFile(cluster);
  // An earlier server's file says ready too.
  return found !== undefined && found.pid === pid && found.status === 'ready';
}

function readPidFile(cluster: string): { pid: number; status: string | undefined } | undefined {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), status: lines[7]?.trim() };
  } catch {
    return undefined;
  }
}

function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        // Somebody may sit there with a shell; only a postgres is ours to end.
        if (readlinkSync(`/proc/${name}/cwd`) !== folder) return false;
        return /^postgres$/.test(readFileSync(`/proc/${name}/comm`, 'utf8').trim()) && isRunning(name);
      } catch {
        return false;
      }
    })
    .map(Number);
}

function isRunning(name: string): boolean {
  return (
    !/\) [ZX] /.test(readFileSync(`/proc/${name}/stat`, 'latin1')) && statSync(`/proc/${name}`).isDirectory()
  );
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
    // A stopped process does not hear a signal before it goes on.
    process.kill(pid, 'SIGCONT');
  } catch {
    // It has ended meanwhile, or is not ours to end: seen by whether it is still there.
  }
}

export async function poll(condition: () => boolean, waitMs: number): Promise<boolean> {
  for (const end = performance.now() + waitMs; performance.now() < end;) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return condition();
}
