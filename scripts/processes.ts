import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';

/** What the demo's cluster and the tests need of processes and ports. */

const setpriv = '/usr/bin/setpriv';

/** Starts a program that gets `signal` from the kernel when we die, also when we are killed without a chance to. */
export function spawnWithUs(
  program: string,
  args: readonly string[],
  signal: 'KILL' | 'TERM',
  options: { readonly env?: NodeJS.ProcessEnv; readonly detached?: boolean } = {},
): ChildProcess {
  const all = { ...options, stdio: ['ignore', 'pipe', 'pipe'] as ('ignore' | 'pipe')[] };
  return existsSync(setpriv)
    ? spawn(setpriv, ['--pdeathsig', signal, program, ...args], all)
    : spawn(program, args, all);
}

/** Waits until `test` gives something else than undefined or false; polls, since what is waited for is elsewhere. */
export async function until<T>(
  what: string,
  test: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 10_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await test();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not in ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Whether nobody listens there. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
