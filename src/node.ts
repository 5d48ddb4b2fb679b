import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { NatsBus } from './cluster/bus-nats.ts';
import { ClusterNode } from './cluster/cluster-node.ts';
import { LocalLeaseStore } from './cluster/lease-store-local.ts';
import { NatsLeaseStore, replicasWanted } from './cluster/lease-store-nats.ts';
import { connectNats, type NatsLink } from './cluster/nats-connection.ts';
import type { Bus, LeaseStore } from './cluster/ports.ts';
import { ShardMap } from './cluster/shard-map.ts';
import { ClusterReporter } from './cluster-report.ts';
import type { Config } from './config.ts';
import { IdSource } from './core/ids.ts';
import { realChance, realClock } from './core/real-clock.ts';
import { createLog, type Log } from './log.ts';
import { natsOptionsOf } from './nats-options.ts';
import { createSharedLimits } from './net/connection-counter.ts';
import { hashPassword } from './net/passwords.ts';
import { loadTokenKeys } from './net/token-keys.ts';
import { StartError } from './core/start-error.ts';
import { openDataDir } from './store/data-dir.ts';
import { openFileStore } from './store/object-store-file.ts';
import { openPool, Reader, type DatabaseAddress, type Sql } from './store/database.ts';
import { startEmbeddedPostgres } from './store/embedded-postgres.ts';
import { DatabaseRefusal, lockNode, makePartitions, migrate } from './store/migrate.ts';
import { People } from './store/people.ts';
import { readEpochs, sharedSecret } from './store/shards.ts';
import { Supervisor } from './supervisor.ts';

/** A running node: what main.ts starts and stops. */
export interface Node {
  readonly url: string;
  /** Lines for whoever started it by hand. */
  readonly notes: readonly string[];
  stop(): Promise<void>;
}

const partitionsAhead = 2;
const chores = { partitionsMs: 6 * 3_600_000, lockMs: 5_000, replicasMs: 60_000 };
const stopDeadlineMs = 4_000;
const drainDeadlineMs = 4_000;

/** Starts everything in order, and undoes it if something refuses. `failed` is called when the node can't go on. */
export async function startNode(config: Config, failed: (reason: string) => void): Promise<Node> {
  const log = createLog(config.log).child({ thread: 'main' });
  const undo: (() => Promise<void> | void)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const dataDir = await openDataDir(config.dataDir);
    undo.push(() => dataDir.close());
    const port = await freePort(config.host, config.port);
    const clustered = config.nats.servers.length > 0;
    const database = await openDatabase(config, undo);
    const sql = openPool(database, 'main', 2, 30_000);
    undo.push(() => sql.end({ timeout: 1 }));
    await prepare(database, sql, config);
    const lock = openPool(database, 'node lock', 1, 10_000);
    undo.push(() => lock.end({ timeout: 1 }));
    if (!(await waitForLock(lock, clustered)))
      throw new StartError(
        clustered
          ? 'this database is in use by a kefu node without --nats; stop that one, or use another database'
          : 'this database is in use by another kefu node; stop that one, or use another database',
      );
    const notes = await firstAgents(sql, config);
    const given = config.auth.tokenKey;
    const shared =
      given === '' && clustered ? await sharedSecret(sql, randomBytes(32).toString('base64url')) : given;
    const tokenKeys = await loadTokenKeys(config.dataDir, shared);
    const scheme = config.tls.cert === '' ? 'http' : 'https';
    const shownHost = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host;
    const url = `${scheme}://${shownHost}:${port}`;
    // In the order of their starts, for names are compared to tell which of two was first.
    const self = `${config.nodeId}~${realClock.wallMs().toString(36).padStart(9, '0')}`;
    const shards = new ShardMap();
    const supervisor = new Supervisor({
      start: {
        config,
        process: self,
        threads: Array.from({ length: config.workers }, (_, index) => `${self}/${index}`),
        shards: shards.buffer,
        limits: createSharedLimits(config.workers, randomInt(2 ** 31)),
        database,
        tokenKeys,
        port,
        version: packageVersion(),
      },
      cluster: () => cluster,
      report: () => reporter.report(),
      log: (level, text) => log[level](text),
      escalate: failed,
    });
    undo.push(() => supervisor.stop(stopDeadlineMs));
    const { store, bus, nats } = clustered ? await joinNats(config, log, undo, notes) : alone();
    const reader = new Reader(sql, realClock, 5_000);
    const reporter = new ClusterReporter({
      clock: realClock,
      reader,
      nats,
      status: () => cluster.status(),
      loads: () => supervisor.loads,
    });
    undo.push(() => reporter.stop());
    const cluster = new ClusterNode({
      clock: realClock,
      chance: realChance,
      store,
      bus,
      fences: { epochs: () => readEpochs(reader) },
      workers: supervisor,
      shards,
      self: {
        node: config.nodeId,
        process: self,
        workers: config.workers,
        url: advertised(config, scheme, port),
        version: packageVersion(),
        get health() {
          return reporter.health;
        },
      },
      suspectMs: config.lease.suspectAfterMs,
      ttlMs: clustered ? config.lease.ttlMs : Infinity,
      log: (level, text, error) => log[level]({ err: error }, text),
      twin: (where) =>
        failed(
          `another node with the id ${config.nodeId} is in the cluster (${where}): give each its own with --node-id`,
        ),
    });
    await checkObjects(config.objects);
    await supervisor.start();
    cluster.start();
    reporter.start();
    for (let worker = 0; worker < config.workers; worker += 1) cluster.workerReady(worker);
    await cluster.serving();
    await supervisor.listen();
    undo.push(async () => {
      supervisor.close();
      await cluster.drain(drainDeadlineMs);
      // Before the workers end, so that nothing is given to them any more.
      await cluster.stop();
    });
    undo.push(startChores(sql, lock, clustered, failed, (error, what) => log.warn({ err: error }, what)));
    return { url, notes, stop: stopAll };
  } catch (error) {
    await stopAll();
    if (error instanceof DatabaseRefusal) throw new StartError(error.message);
    throw error;
  }
}

interface Ground {
  readonly store: LeaseStore;
  readonly bus: Bus | undefined;
  readonly nats: { readonly link: NatsLink; readonly store: { readonly replicas: number } } | undefined;
}

function alone(): Ground {
  return { store: new LocalLeaseStore(), bus: undefined, nats: undefined };
}

async function joinNats(
  config: Config,
  log: Log,
  undo: (() => Promise<void> | void)[],
  notes: string[],
): Promise<Ground> {
  const { cluster } = config.nats;
  const link = await connectNats(
    natsOptionsOf(config),
    `${config.nodeId} main`,
    ({ type, data }) => log[type === 'connected' ? 'info' : 'warn'](data, `NATS: ${type}`),
    { clock: realClock, chance: realChance },
  );
  undo.push(() => link.close());
  const store = new NatsLeaseStore({ link, cluster, clock: realClock });
  await store.open().catch((error: unknown) => {
    throw new StartError(
      `the leases can’t be opened: is JetStream on at the NATS of --nats? ${String(error)}`,
    );
  });
  // NATS may have had too few servers only for a while.
  const scaling = setInterval(() => {
    if (store.replicas < replicasWanted && link.connected)
      store.open().then(
        () => {
          if (store.replicas >= replicasWanted)
            log.info({ replicas: store.replicas }, 'NATS: the leases are replicated');
        },
        (error: unknown) =>
          log.warn({ err: error }, 'NATS: the leases could not be looked at; it is tried again'),
      );
  }, chores.replicasMs);
  undo.push(() => clearInterval(scaling));
  const { replicas } = store;
  notes.push(
    `cluster ${cluster}, node ${config.nodeId}: leases in JetStream with ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
  );
  return { store, bus: new NatsBus({ link, cluster }), nats: { link, store } };
}

function advertised({ cluster, host }: Config, scheme: string, port: number): string {
  if (cluster.advertise !== '') return cluster.advertise;
  return `${scheme}://${host === '0.0.0.0' || host === '::' ? hostname() : host}:${port}`;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function openDatabase(config: Config, undo: (() => Promise<void> | void)[]): Promise<DatabaseAddress> {
  if (config.postgres.url !== '') return { url: config.postgres.url };
  const log = createLog(config.log).child({ thread: 'postgres' });
  const embedded = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    sharedBuffersBytes: config.postgres.sharedBuffersBytes,
    // Each worker's readers and journal, and some for the main thread and whoever looks in.
    connectionsMax: config.workers * (config.store.connections + 1) + 20,
    log,
    onExit: () => log.error('PostgreSQL has ended; it is started again'),
  });
  undo.push(() => embedded.stop());
  return embedded.address;
}

/** Schema, partitions; a database that can't be reached is one clear line. */
async function prepare(database: DatabaseAddress, sql: Sql, config: Config): Promise<void> {
  const schema = openPool(database, 'schema', 1, 0);
  try {
    await migrate(schema);
    await makePartitions(sql, realClock.wallMs(), partitionsAhead);
  } catch (error) {
    if (error instanceof DatabaseRefusal || config.postgres.url === '') throw error;
    const { message } = error as Error;
    throw new StartError(`the database of --postgres can’t be used: ${message || String(error)}`);
  } finally {
    await schema.end({ timeout: 1 });
  }
}

/** A node that was killed may hold the lock until its connection is noticed to be dead: worth a short wait. */
async function waitForLock(lock: Sql, shared: boolean): Promise<boolean> {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    if (await lockNode(lock, shared)) return true;
    await new Promise<void>((resolve) => realClock.after(100, resolve));
  }
  return false;
}

/** The port, checked to be nobody else's: worker threads share it, and would share it with a second node too. */
function freePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'is in use: choose another with --port'
          : `can’t be used (${error.code})`;
      reject(new StartError(`port ${port} of ${host} ${why}`));
    });
    probe.listen(port, host, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

const demoNames = ['Lin Yue 林悦', 'Zhou Ming 周明', 'Anna Weber', 'Chen Jie 陈洁', 'Omar Said'];

/** The group and the people that a new database needs to be of use. */
async function firstAgents(sql: Sql, config: Config): Promise<string[]> {
  const people = new People(new Reader(sql, realClock, 10_000), config.agents.capacity);
  const ids = new IdSource(realClock, realChance);
  await people.addGroup('support');
  if (config.demo) {
    if ((await people.byEmail('admin@demo.kefu')) === undefined) {
      const password = await hashPassword('demo');
      const add = (
        email: string,
        name: string,
        role: 'agent' | 'admin',
        groups: string[],
      ): Promise<unknown> =>
        people.addAgent({ id: ids.next(), email, name, role, groups, capacity: null, password });
      for (const [index, name] of demoNames.entries())
        await add(`agent${index + 1}@demo.kefu`, name, 'agent', ['support']);
      await add('admin@demo.kefu', 'Admin', 'admin', []);
    }
    return ['agents: agent1@demo.kefu … agent5@demo.kefu and admin@demo.kefu, password: demo'];
  }
  if ((await people.countAgents()) > 0) return [];
  const secret = randomBytes(12).toString('base64url');
  await people.addAgent({
    id: ids.next(),
    email: 'admin@kefu.local',
    name: 'Admin',
    role: 'admin',
    groups: ['support'],
    capacity: null,
    password: await hashPassword(secret),
  });
  return [`first admin: admin@kefu.local, password: ${secret} (shown this once)`];
}

/** What has to be looked after now and then: next months' partitions, and that the database is still ours alone. */
function startChores(
  sql: Sql,
  lock: Sql,
  shared: boolean,
  failed: (reason: string) => void,
  trouble: (error: unknown, what: string) => void,
): () => void {
  const partitions = setInterval(() => {
    makePartitions(sql, realClock.wallMs(), partitionsAhead).catch((error: unknown) =>
      trouble(error, 'partitions could not be made; they are tried again'),
    );
  }, chores.partitionsMs);
  const locking = setInterval(() => {
    lockNode(lock, shared).then(
      (ours) => {
        if (!ours) failed('another kefu node has taken this database for itself');
      },
      (error: unknown) => trouble(error, 'the database does not answer'),
    );
  }, chores.lockMs);
  return () => {
    clearInterval(partitions);
    clearInterval(locking);
  };
}

/** A folder must be there from the start. S3 need not: the first worker looks for it and warns, and chats go on. */
async function checkObjects(location: Config['objects']): Promise<void> {
  if (location.kind !== 'file') return;
  const { directory } = location;
  await openFileStore({ directory, wallMs: () => realClock.wallMs() }).catch((error: unknown) => {
    throw new StartError(`${directory} can’t hold objects: ${(error as Error).message}`);
  });
}
