import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../scripts/processes.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const readyWaitMs = 30_000;

/** What is to end with this process, however that ends: one listener for all, a test may start many nodes. */
const hangUps = new Set<() => void>();
process.once('exit', () => {
  for (const hangUp of hangUps) hangUp();
});

/** A real node, started as users start it. */
export interface TestNode {
  readonly url: string;
  readonly wsUrl: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  logs(): string;
  /** SIGTERM; its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
  /** Stops it if it still runs, and removes its data. */
  remove(): Promise<void>;
}

export interface NodeOptions {
  readonly args?: readonly string[];
  /** Default: true. */
  readonly demo?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly dataDir?: string;
  readonly port?: number;
}

export function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'kefu-test-'));
  chmodSync(dataDir, 0o711);
  return dataDir;
}

export { freePort };

export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? newDataDir();
  const demo = options.demo === false ? [] : ['--demo'];
  const args = [main, ...demo, '--port', String(port), '--data-dir', dataDir, ...(options.args ?? [])];
  const child = spawn(process.execPath, args, {
    env: {
      ...process.env,
      KEFU_LIMITS_CONNECTS_PER_SECOND_PER_IP: '0',
      KEFU_LOG_FORMAT: 'json',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output += data.toString()));
  let code: number | null | undefined;
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (value) => resolve((code = value)));
  });
  const hangUp = (): void => {
    child.kill('SIGKILL');
    killPostgres(dataDir);
  };
  hangUps.add(hangUp);
  const node: TestNode = {
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}/v1/ws`,
    port,
    pid: child.pid!,
    dataDir,
    logs: () => output,
    exited,
    signal: (name) => void child.kill(name),
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async remove() {
      if (code === undefined) child.kill('SIGTERM');
      await exited;
      hangUps.delete(hangUp);
      killPostgres(dataDir);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  // The line comes first; then each worker is asked, so that one that is not ready yet is no surprise.
  const late = new Promise<void>((resolve) => setTimeout(resolve, readyWaitMs).unref());
  const said = new Promise<void>((resolve) =>
    child.stdout.on('data', () => output.includes('kefu is ready') && resolve()),
  );
  await Promise.race([said, exited, late]);
  for (const end = Date.now() + readyWaitMs; !(await isReady(node));)
    if (code !== undefined || Date.now() > end) {
      hangUp();
      throw new Error(`the node did not get ready (exit code ${code}):\n${output}`);
    }
  return node;
}

async function isReady(node: TestNode): Promise<boolean> {
  try {
    return (await fetch(`${node.url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

/** The postmaster of this data directory; undefined when there is none. */
export function postmasterPid(dataDir: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n', 1)[0]);
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(dataDir) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function killPostgres(dataDir: string): void {
  const pid = postmasterPid(dataDir);
  if (pid === undefined) return;
  process.kill(pid, 'SIGQUIT');
  process.kill(pid, 'SIGCONT');
}

/** What a command that must refuse says and exits with. */
export async function runRefused(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { code, output };
}
