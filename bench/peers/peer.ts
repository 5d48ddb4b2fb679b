import { fork, spawnSync } from 'node:child_process';
import postgres from 'postgres';
import type { DatabaseAddress } from '../../src/store/database.ts';

/** Who else does the work, named as in the load's orders. */
export const peerNames = [
  'bare',
  'relay',
  'relay-bytes',
  'ws',
  'socket-io',
  'socket-io-batch',
  'ejabberd',
] as const;
export type PeerName = (typeof peerNames)[number];

export interface RunningPeer {
  readonly port: number;
  /** What it is, with its version. */
  readonly label: string;
  stop(): void;
}

/** Why a peer is not in the run, in a few words. */
export class NotInstalled extends Error {}

/** A server in a process of its own: gets what it needs as JSON, tells its port, ends when we let go of it. */
export async function startProcess(
  file: string,
  start: object,
): Promise<{ readonly port: number; stop(): void }> {
  const child = fork(new URL(`${file}/server-process.ts`, import.meta.url), [JSON.stringify(start)]);
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port));
    child.once('exit', (code) => reject(new Error(`the peer ${file} ended with ${code}`)));
  });
  return { port, stop: () => (child.connected ? child.disconnect() : undefined) };
}

/** The path of a program, if it is there. */
export function programOf(name: string): string | undefined {
  const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  return stdout.trim() === '' ? undefined : stdout.trim();
}

export interface PeerStart {
  readonly address: DatabaseAddress;
  /** A folder of its own, which is removed afterwards. */
  readonly folder: string;
}

/** PostgreSQL as the library opens it by itself: prepared statements, queries sent ahead of answers, types looked up. */
export function openPeerPool(address: DatabaseAddress, connections: number): postgres.Sql {
  if (!('socketDir' in address)) throw new Error('a PostgreSQL of our own is meant');
  const { socketDir, port, user, database } = address;
  return postgres({
    host: socketDir,
    path: `${socketDir}/.s.PGSQL.${port}`,
    port,
    user,
    database,
    max: connections,
  });
}
