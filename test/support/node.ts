import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const readyWaitMs = 30_000;

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
  readonly env?: Readonly<Record<string, string>>;
  readonly dataDir?: string;
  readonly port?: number;
}

export function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'kefu-test-'));
  chmodSync(dataDir, 0o711);
  return dataDir;
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? newDataDir();
  const args = [main, '--demo', '--port', String(port), '--data-dir', dataDir, ...(options.args ?? [])];
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
  const hangUp = (): void => void child.kill('SIGKILL');
  process.once('exit', hangUp);
  void exited.then(() => process.off('exit', hangUp));
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
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  const end = Date.now() + readyWaitMs;
  const isReady = (): Promise<boolean> =>
    fetch(`${node.url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  while (!(await isReady())) {
    if (code !== undefined || Date.now() > end) throw new Error(`the node did not get ready:\n${output}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return node;
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
