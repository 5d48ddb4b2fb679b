import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { ensureNatsServer } from '../../scripts/nats-server.ts';
import {
  isNatsListening,
  placeNatsServers,
  untilJetStream,
  type NatsServerPlace,
} from '../../scripts/nats-servers.ts';
import { spawnWithUs, until } from '../../scripts/processes.ts';
import {
  connectNats,
  type NatsEvent,
  type NatsLink,
  type NatsOptions,
} from '../../src/cluster/nats-connection.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';

interface Server extends NatsServerPlace {
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
    const places = await placeNatsServers({ folder, count, more, advertise });
    const servers = places.map((place) => ({ ...place, child: undefined, exited: Promise.resolve() }));
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

  /** Which server leads this stream; waits for an election that is under way. */
  async leaderOf(stream: string): Promise<number> {
    const link = await this.connect();
    const leading = async (): Promise<string | undefined> => {
      const manager = await jetstreamManager(link.client);
      return (await manager.streams.info(stream)).cluster?.leader;
    };
    try {
      const found = (): Promise<string | undefined> => leading().catch(() => undefined);
      if (this.#servers.length === 1) return 0;
      const leader = await until(`${stream} has a leader`, found, 30_000);
      return this.#servers.findIndex((server) => server.name === leader);
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
    const child = spawnWithUs(program, ['-c', server.config], 'KILL');
    child.stdout?.resume();
    let log = '';
    child.stderr?.on('data', (data: Buffer) => (log = `${log}${data.toString()}`.slice(-4000)));
    server.child = child;
    server.exited = new Promise((resolve) => child.once('exit', () => resolve()));
    await until(`${server.name} takes connections`, async () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${log}`);
      return isNatsListening(server.port);
    });
  }

  async #untilReady(): Promise<void> {
    const link = await this.connect();
    try {
      await untilJetStream(link.client, this.#servers.length);
    } finally {
      await link.close();
    }
  }
}
