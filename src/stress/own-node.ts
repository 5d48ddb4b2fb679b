import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartError } from '../core/start-error.ts';

/** A node for one run, with a database and a folder of its own, that is gone afterwards. */
export interface OwnNode {
  readonly url: string;
  readonly pid: number;
  remove(): Promise<void>;
}

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const setpriv = '/usr/bin/setpriv';
const readyWaitMs = 60_000;
const outputMax = 4000;
/** Settings that may be tried out; never those that say where somebody's data is. */
const kept = /^KEFU_(?:LIMITS|AGENTS|JOURNAL|LOG)_|^KEFU_WORKERS$/;

/** Rejects with a StartError that holds what the node said. */
export async function startOwnNode(env: NodeJS.ProcessEnv): Promise<OwnNode> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kefu-stress-'));
  // PostgreSQL may run as another user.
  chmodSync(dataDir, 0o711);
  const args = [main, '--demo', '--port', '0', '--data-dir', dataDir];
  const command = existsSync(setpriv)
    ? [setpriv, '--pdeathsig', 'TERM', process.execPath, ...args]
    : [process.execPath, ...args];
  const own = Object.entries(env).filter(([name]) => !name.startsWith('KEFU_') || kept.test(name));
  const child = spawn(command[0]!, command.slice(1), {
    env: { KEFU_LOG_LEVEL: 'warn', ...Object.fromEntries(own) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not of our terminal's group: a Ctrl-C is for us, who end it in order.
    detached: true,
  });
  let output = '';
  let isEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      isEnded = true;
      resolve();
    });
    child.on('error', (error) => {
      output += error.message;
      isEnded = true;
      resolve();
    });
  });
  const hangUp = (): void => void child.kill('SIGTERM');
  process.once('exit', hangUp);
  const remove = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    process.off('exit', hangUp);
    rmSync(dataDir, { recursive: true, force: true });
  };
  const late = new Promise<void>((resolve) => void setTimeout(resolve, readyWaitMs).unref());
  const url = await Promise.race([
    new Promise<string>((resolve) => {
      const hear = (data: Buffer): void => {
        output = (output + data.toString()).slice(-outputMax);
        const match = /kefu is ready\s+customers\s+(\S+?)\/?\s/.exec(output);
        if (match !== null) resolve(match[1]!);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
    }),
    ended.then(() => undefined),
    late.then(() => undefined),
  ]);
  if (url === undefined) {
    await remove();
    throw new StartError(
      `a node of our own ${isEnded ? 'ended' : `was not ready in ${readyWaitMs / 1000} s`}: ${output.trim()}`,
    );
  }
  return { url, pid: child.pid!, remove };
}
