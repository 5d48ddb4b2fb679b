import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openPool, type DatabaseAddress } from '../../src/store/database.ts';
import { startEjabberd } from './ejabberd/index.ts';
import { NotInstalled, programOf, startProcess, type PeerName, type RunningPeer } from './peer.ts';

/** Starts each peer with a database of its own on the PostgreSQL that all of them share. */
export async function startPeer(
  name: PeerName,
  shared: DatabaseAddress,
  folder: string,
  users: number,
): Promise<RunningPeer> {
  const own = join(folder, name);
  mkdirSync(own);
  if (name === 'relay' || name === 'relay-bytes') {
    const bytes = name === 'relay-bytes';
    const label = `uWebSockets.js ${versionOf('uWebSockets.js')}, a relay${bytes ? ' of bytes' : ''}, nothing stored`;
    return { ...(await startProcess('relay', { bytes })), label };
  }
  if (name === 'ejabberd')
    return startEjabberd({ address: await newDatabase(shared, name), folder: own }, users);
  if (name === 'bare')
    return {
      ...(await startProcess('bare', { address: await newDatabase(shared, name) })),
      label: 'the bare path',
    };
  if (name === 'ws') {
    const process = await startProcess('ws', { address: await newDatabase(shared, name) });
    return { ...process, label: `ws ${versionOf('ws')}` };
  }
  const redis = await startRedis(own);
  const batch = name === 'socket-io-batch';
  const address = await newDatabase(shared, batch ? 'socketiobatch' : 'socketio');
  const process = await startProcess('socket-io', { address, socket: redis.socket, batch });
  return {
    port: process.port,
    label: `Socket.IO ${versionOf('socket.io')} + Redis${batch ? ', inserts batched by hand' : ''}`,
    stop() {
      process.stop();
      redis.stop();
    },
  };
}

async function newDatabase(shared: DatabaseAddress, name: string): Promise<DatabaseAddress> {
  if (!('socketDir' in shared)) throw new Error('a PostgreSQL of our own is meant');
  const sql = openPool(shared, 'bench', 1, 0);
  await sql.unsafe(`create database ${name}`);
  await sql.end();
  return { ...shared, database: name };
}

async function startRedis(folder: string): Promise<{ readonly socket: string; stop(): void }> {
  const program = programOf('redis-server');
  if (program === undefined) throw new NotInstalled('redis-server is not installed: npm run bench:peers');
  const socket = join(folder, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', folder];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      if (data.includes('ready to accept connections') || data.includes('accept connections at')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
  });
  return { socket, stop };
}

function versionOf(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
