import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../scripts/processes.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** A node of its own for a benchmark: every limit that would slow the load down is off. */
export interface BenchNode {
  readonly port: number;
  readonly pid: number;
  readonly readyMs: number;
  readonly dataDir: string;
  rssBytes(): number;
  /** Milliseconds from SIGTERM to the end; throws when it did not end well. */
  stop(): Promise<number>;
}

export const noLimits = {
  KEFU_LIMITS_CONNECTIONS: '0',
  KEFU_LIMITS_CONNECTIONS_PER_IP: '0',
  KEFU_LIMITS_CONNECTS_PER_SECOND_PER_IP: '0',
  KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
  KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
  KEFU_LIMITS_LOGINS_PER_MINUTE_PER_IP: '0',
  KEFU_LOG_LEVEL: 'warn',
};

export function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'kefu-bench-'));
  chmodSync(dataDir, 0o711);
  return dataDir;
}

export function removeDataDir(dataDir: string): void {
  rmSync(dataDir, { recursive: true, force: true });
}

export async function startBenchNode(dataDir: string, env: Record<string, string> = {}): Promise<BenchNode> {
  const port = await freePort();
  const started = performance.now();
  const child: ChildProcess = spawn(
    process.execPath,
    // As `npm start` has it.
    ['--no-parallel-scavenge', main, '--demo', '--port', String(port), '--data-dir', dataDir],
    {
      env: { ...process.env, MALLOC_ARENA_MAX: '1', ...noLimits, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (data: Buffer) => {
      if (data.includes('kefu is ready')) resolve();
      else process.stderr.write(data);
    });
    void exited.then((code) => reject(new Error(`the node ended with ${code}`)));
  });
  const pid = child.pid!;
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    port,
    pid,
    dataDir,
    readyMs: performance.now() - started,
    rssBytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024,
    async stop() {
      const asked = performance.now();
      child.kill('SIGTERM');
      const code = await exited;
      if (code !== 0) throw new Error(`the node ended with ${code}`);
      return performance.now() - asked;
    },
  };
}

export async function post<T>(port: number, path: string, body: object, token?: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  const value = (await response.json()) as T;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(value)}`);
  return value;
}

/** All of a list, page by page, as the admin. */
export async function getAll<T>(port: number, path: string): Promise<T[]> {
  const login = { email: 'admin@demo.kefu', password: 'demo' };
  const { token } = await post<{ token: string }>(port, '/v1/login', login);
  const all: T[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const response = await fetch(`http://127.0.0.1:${port}${path}&limit=200${page}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const answer = (await response.json()) as { data: T[]; next: string | null };
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    all.push(...answer.data);
    cursor = answer.next;
  }
  return all;
}

/** `work` for each item, a few at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < items.length) {
        const index = next;
        next += 1;
        results[index] = await work(items[index]!);
      }
    }),
  );
  return results;
}
