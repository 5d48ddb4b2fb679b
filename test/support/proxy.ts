import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Stands between clients and a node, and cuts connections as networks do: without a word. */
export class Proxy {
  readonly wsUrl: string;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.wsUrl = `ws://127.0.0.1:${port}/v1/ws`;
  }

  static start(target: number): Promise<Proxy> {
    return new Promise((resolve) => {
      const server = createServer((client) => proxy.#join(client, createConnection(target, '127.0.0.1')));
      let proxy: Proxy;
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        proxy = new Proxy(server, typeof address === 'object' && address !== null ? address.port : 0);
        resolve(proxy);
      });
    });
  }

  /** Cuts one of the present connections. */
  cutOne(which: number): void {
    const pairs = [...this.#pairs];
    if (pairs.length > 0) this.#cut(pairs[which % pairs.length]!);
  }

  async stop(): Promise<void> {
    for (const pair of this.#pairs) this.#cut(pair);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.pipe(server);
    server.pipe(client);
    for (const socket of pair) {
      socket.on('error', () => this.#cut(pair));
      socket.on('close', () => this.#cut(pair));
    }
  }

  #cut(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
