import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** What the demo's cluster and the tests need of processes and ports. */

const pollMs = 10;
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
  deadlineMs = 30_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await test();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not in ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

const portRange = '/proc/sys/net/ipv4/ip_local_port_range';
const portMin = 10_240;
const given = new Set<number>();

/**
 * A port that nobody has now, below those that the system gives to outgoing connections: one of theirs may be taken
 * between this answer and the listening, also by whoever tries to connect to that very port. None is given twice.
 */
export async function freePort(count = 1): Promise<number> {
  const end = existsSync(portRange) ? Number.parseInt(readFileSync(portRange, 'latin1'), 10) : 32_768;
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const first = portMin + Math.floor(Math.random() * (end - portMin - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (ports.some((port) => given.has(port))) continue;
    for (const port of ports) given.add(port);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
  throw new Error(`there are no ${count} free ports in a row from ${portMin} to ${end}`);
}

/** Whether nobody listens there. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
