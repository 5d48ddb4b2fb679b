import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/store/database.ts';

/** Stands between a journal and PostgreSQL: commits arrive, but their answers need not come back. */
export class PostgresProxy {
  readonly address: DatabaseAddress;
  readonly #server: Server;
  readonly #directory: string;
  readonly #sockets = new Set<Socket>();
  /** The next statement is let through, and the connection cut before its answer. */
  #swallowNext = false;
  swallowed = 0;

  private constructor(server: Server, directory: string, address: DatabaseAddress) {
    this.#server = server;
    this.#directory = directory;
    this.address = address;
  }

  static async start(target: DatabaseAddress): Promise<PostgresProxy> {
    if (!('socketDir' in target)) throw new Error('the proxy stands before a socket');
    const directory = mkdtempSync(join(tmpdir(), 'kefu-px-'));
    const server = createServer();
    const proxy = new PostgresProxy(server, directory, { ...target, socketDir: directory });
    server.on('connection', (client) => proxy.#join(client, `${target.socketDir}/.s.PGSQL.${target.port}`));
    await new Promise<void>((resolve) => server.listen(`${directory}/.s.PGSQL.${target.port}`, resolve));
    return proxy;
  }

  swallow(): void {
    this.#swallowNext = true;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #join(client: Socket, path: string): void {
    const server = createConnection(path);
    this.#sockets.add(client).add(server);
    let swallowing = false;
    client.on('data', (data) => {
      // A statement that is bound and run, not the connection's greeting.
      if (this.#swallowNext && !data.includes('kefu') && data.length > 200) {
        this.#swallowNext = false;
        swallowing = true;
      }
      server.write(data);
    });
    server.on('data', (data) => {
      // ReadyForQuery ends an answer: by then the server has committed.
      if (!swallowing || data.at(-6) !== 0x5a) return void client.write(data);
      this.swallowed += 1;
      client.destroy();
      server.destroy();
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
