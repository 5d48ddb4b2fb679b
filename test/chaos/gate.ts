import { createConnection, createServer, type Server, type Socket } from 'node:net';

/**
 * open: all passes. shut: connections are cut, and new ones too. lost: nothing passes, and nobody is told. noAnswers:
 * what the node sends arrives, what it is sent does not; noRequests: the other way round.
 */
export type GateMode = 'open' | 'shut' | 'lost' | 'noAnswers' | 'noRequests';

type Target = { readonly port: number } | { readonly path: string };
interface Pair {
  readonly node: Socket;
  readonly far: Socket;
}

/**
 * Stands between a node and what it needs, and fails as networks do. What is lost is held back, as TCP would send it
 * again: after a cut that heals it arrives late, unless somebody has given the connection up.
 */
export class Gate {
  readonly port: number;
  /** Where it leads; set before anybody connects. */
  target: Target | undefined;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #mode: GateMode = 'open';

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static start(): Promise<Gate> {
    return new Promise((resolve) => {
      const server = createServer((node) => gate.#join(node));
      let gate: Gate;
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        gate = new Gate(server, typeof address === 'object' && address !== null ? address.port : 0);
        resolve(gate);
      });
    });
  }

  set(mode: GateMode): void {
    this.#mode = mode;
    for (const pair of this.#pairs) this.#apply(pair);
  }

  async stop(): Promise<void> {
    this.set('shut');
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(node: Socket): void {
    if (this.target === undefined || this.#mode === 'shut') {
      node.destroy();
      return;
    }
    const far =
      'port' in this.target
        ? createConnection(this.target.port, '127.0.0.1')
        : createConnection(this.target.path);
    const pair = { node, far };
    this.#pairs.add(pair);
    for (const socket of [node, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.#cut(pair));
      socket.on('close', () => this.#cut(pair));
    }
    this.#apply(pair);
  }

  #apply(pair: Pair): void {
    if (this.#mode === 'shut') return this.#cut(pair);
    const { node, far } = pair;
    flow(node, far, this.#mode === 'open' || this.#mode === 'noAnswers');
    flow(far, node, this.#mode === 'open' || this.#mode === 'noRequests');
  }

  #cut({ node, far }: Pair): void {
    for (const pair of this.#pairs) if (pair.node === node) this.#pairs.delete(pair);
    node.destroy();
    far.destroy();
  }
}

function flow(from: Socket, to: Socket, passes: boolean): void {
  from.unpipe(to);
  if (passes) from.pipe(to);
  else from.pause();
}
