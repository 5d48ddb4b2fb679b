import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { ensureNatsServer } from '../../scripts/nats-server.ts';
import {
  connectNats,
  type NatsEvent,
  type NatsLink,
  type NatsOptions,
} from '../../src/cluster/nats-connection.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { freePort } from './node.ts';

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

interface Server {
  readonly name: string;
  readonly port: number;
  readonly config: string;
  readonly storeDir: string;
  child: ChildProcess | undefined;
  exited: Promise<void>;
}

export interface NatsServersOptions {
  /** 1, or a cluster of 3. Default 1. */
  readonly count?: 1 | 3;
  /** More of nats-server's configuration: `authorization { … }`, `tls { … }`. JetStream's readiness is not waited for. */
  readonly more?: string;
  /** False: clients are told of no other servers, so that they stay behind the proxies they were given. Default true. */
  readonly advertise?: boolean;
}

/** Real nats-servers with JetStream, for one test file; they die with its process. */
export class NatsServers {
  readonly #folder: string;
  readonly #servers: Server[];
  readonly #isOpen: boolean;

  private constructor(folder: string, servers: Server[], isOpen: boolean) {
    this.#folder = folder;
    this.#servers = servers;
    this.#isOpen = isOpen;
  }

  static async start({
    count = 1,
    more = '',
    advertise = true,
  }: NatsServersOptions = {}): Promise<NatsServers> {
    const folder = await mkdtemp(join(tmpdir(), 'kefu-nats-'));
    const ports = await Promise.all(Array.from({ length: 2 * count }, () => freePort()));
    const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
    const servers: Server[] = [];
    for (let index = 0; index < count; index += 1) {
      const name = `n${index}`;
      const storeDir = join(folder, name);
      const config = join(folder, `${name}.conf`);
      const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[count + index]!}", routes: [${routes.join(', ')}], no_advertise: ${!advertise} }`;
      const lines = [
        `server_name: ${name}`,
        `listen: "127.0.0.1:${ports[index]!}"`,
        `jetstream { store_dir: "${storeDir}", max_file: 1G, max_mem: 64M }`,
        count === 1 ? '' : cluster,
        more,
      ];
      await writeFile(config, lines.join('\n'));
      const exited = Promise.resolve();
      servers.push({ name, port: ports[index]!, config, storeDir, child: undefined, exited });
    }
    const all = new NatsServers(folder, servers, more === '');
    process.once('exit', () => all.#killAll());
    await all.#startAll();
    return all;
  }

  get urls(): string[] {
    return this.#servers.map((server) => `nats://127.0.0.1:${server.port}`);
  }

  options(others: Partial<NatsOptions> = {}): NatsOptions {
    const none = {
      user: '',
      password: '',
      token: '',
      nkey: '',
      creds: '',
      tlsCa: '',
      tlsCert: '',
      tlsKey: '',
    };
    return { servers: this.urls, cluster: 'test', ...none, ...others };
  }

  connect(
    others: Partial<NatsOptions> = {},
    tell: (event: NatsEvent) => void = () => undefined,
  ): Promise<NatsLink> {
    return connectNats(this.options(others), 'test', tell, { clock: realClock, chance: realChance });
  }

  /** As a crash: nothing is said, nothing is flushed. */
  async kill(index: number): Promise<void> {
    const server = this.#servers[index]!;
    server.child?.kill('SIGKILL');
    await server.exited;
  }

  async restart(index: number): Promise<void> {
    await this.kill(index);
    await this.#run(this.#servers[index]!);
  }

  /** Restarts one under another configuration. */
  async restartWith(index: number, change: (config: string) => string): Promise<void> {
    const { config } = this.#servers[index]!;
    await writeFile(config, change(await readFile(config, 'utf8')));
    await this.restart(index);
  }

  /** Settles once all its threads stand still; until then it might still answer. */
  async pause(index: number): Promise<void> {
    const { child } = this.#servers[index]!;
    child?.kill('SIGSTOP');
    const tasks = `/proc/${child?.pid}/task`;
    const isStopped = (task: string): boolean => / T /.test(readFileSync(`${tasks}/${task}/stat`, 'utf8'));
    await until('it stands still', () => !existsSync(tasks) || readdirSync(tasks).every(isStopped));
  }

  resume(index: number): void {
    this.#servers[index]!.child?.kill('SIGCONT');
  }

  /** All of them die and forget everything. */
  async wipe(): Promise<void> {
    await Promise.all(this.#servers.map((_, index) => this.kill(index)));
    await Promise.all(this.#servers.map(({ storeDir }) => rm(storeDir, { recursive: true, force: true })));
    await this.#startAll();
  }

  /** Which server leads this stream. */
  async leaderOf(stream: string): Promise<number> {
    const link = await this.connect();
    try {
      const manager = await jetstreamManager(link.client);
      const info = await manager.streams.info(stream);
      return Math.max(
        0,
        this.#servers.findIndex((server) => server.name === info.cluster?.leader),
      );
    } finally {
      await link.close();
    }
  }

  async stop(): Promise<void> {
    this.#killAll();
    await Promise.all(this.#servers.map((server) => server.exited));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #killAll(): void {
    for (const server of this.#servers) server.child?.kill('SIGKILL');
  }

  async #startAll(): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#run(server)));
    if (this.#isOpen) await this.#untilReady();
  }

  /** Starts one, and waits until it takes connections. */
  async #run(server: Server): Promise<void> {
    await mkdir(server.storeDir, { recursive: true });
    const program = ensureNatsServer();
    if (program === undefined) throw new Error('there is no nats-server');
    const args = ['-c', server.config];
    // The kernel kills it with us, also when we are killed without a chance to.
    const setpriv = '/usr/bin/setpriv';
    const child = existsSync(setpriv)
      ? spawn(setpriv, ['--pdeathsig', 'KILL', program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
      : spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (data: Buffer) => (log = `${log}${data.toString()}`.slice(-4000)));
    server.child = child;
    server.exited = new Promise((resolve) => child.once('exit', () => resolve()));
    await until(`${server.name} takes connections`, async () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${log}`);
      return isListening(server.port);
    });
  }

  /** JetStream answers once it has a meta leader, and places a stream on all peers once they have all joined. */
  async #untilReady(): Promise<void> {
    const link = await this.connect();
    try {
      const manager = await jetstreamManager(link.client, { checkAPI: false, timeout: 1000 });
      const stream = { name: 'ready', subjects: ['ready'], num_replicas: this.#servers.length };
      await until(
        'JetStream is ready',
        async () => {
          try {
            await manager.streams.add(stream);
            return await manager.streams.delete(stream.name);
          } catch {
            return false;
          }
        },
        30_000,
      );
    } finally {
      await link.close();
    }
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
