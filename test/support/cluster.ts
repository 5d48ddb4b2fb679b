import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { mkdtempSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '../../src/log.ts';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { NatsServers } from './nats.ts';
import { newDataDir, postmasterPid, startNode, type NodeOptions, type TestNode } from './node.ts';

/** Real nodes that share one PostgreSQL and a NATS cluster, started as users start them. */
export class TestCluster {
  readonly nats: NatsServers;
  readonly nodes: TestNode[] = [];
  readonly postgresUrl: string;
  readonly postgresDir: string;
  readonly #stopPostgres: () => Promise<void>;
  readonly #options: ClusterOptions;

  private constructor(
    nats: NatsServers,
    postgres: { url: string; dir: string; stop: () => Promise<void> },
    options: ClusterOptions,
  ) {
    this.nats = nats;
    this.postgresUrl = postgres.url;
    this.postgresDir = postgres.dir;
    this.#stopPostgres = postgres.stop;
    this.#options = options;
  }

  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const [nats, postgres] = await Promise.all([
      NatsServers.start({ count: options.natsServers ?? 1, advertise: options.natsUrl === undefined }),
      startSharedPostgres(),
    ]);
    const cluster = new TestCluster(nats, postgres, options);
    const count = options.nodes ?? 3;
    // The first one makes the schema and the demo's agents.
    for (let index = 0; index < count; index += 1) await cluster.add(index);
    return cluster;
  }

  get postmaster(): number {
    return postmasterPid(this.postgresDir)!;
  }

  /** Starts node `n<index + 1>`, anew if it was there before; with its own data directory, which it keeps. */
  async add(index: number, more: NodeOptions = {}): Promise<TestNode> {
    const before = this.nodes[index];
    const node = await startNode({
      dataDir: before?.dataDir ?? newDataDir(),
      ...(before === undefined ? {} : { port: before.port }),
      ...more,
      env: { ...this.#options.env, ...more.env },
      args: [
        '--node-id',
        `n${index + 1}`,
        '--nats',
        (this.#options.natsUrl?.(index, this.nats) ?? this.nats.urls).join(','),
        '--postgres',
        this.#options.postgresUrl?.(index, this.postgresDir) ?? this.postgresUrl,
        '--workers',
        String(this.#options.workers ?? 1),
        ...(more.args ?? []),
      ],
    });
    this.nodes[index] = node;
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()));
    await this.#stopPostgres();
    await this.nats.stop();
  }
}

export interface ClusterOptions {
  /** Default: 3. */
  readonly nodes?: number;
  /** Worker threads a node. Default: 1. */
  readonly workers?: number;
  /** 1 or 3. Default: 1. */
  readonly natsServers?: 1 | 3;
  readonly env?: Readonly<Record<string, string>>;
  /** Where each node finds NATS: all servers, unless a proxy stands between. */
  readonly natsUrl?: (index: number, nats: NatsServers) => readonly string[];
  /** Where each node finds PostgreSQL, whose data are in this folder: its socket, unless a proxy stands between. */
  readonly postgresUrl?: (index: number, dir: string) => string;
}

async function startSharedPostgres(): Promise<{ url: string; dir: string; stop: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'kefu-pg-'));
  chmodSync(dir, 0o711);
  const embedded = await startEmbeddedPostgres({
    dataDir: dir,
    sharedBuffersBytes: 64 * 2 ** 20,
    connectionsMax: 100,
    log: createLog({ level: 'error', format: 'json' }),
    onExit: () => undefined,
  });
  const { address } = embedded;
  if (!('socketDir' in address)) throw new Error('the embedded PostgreSQL has a socket');
  return {
    url: `postgres://${address.user}@localhost:${address.port}/${address.database}?host=${address.socketDir}`,
    dir,
    stop: async () => {
      await embedded.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
