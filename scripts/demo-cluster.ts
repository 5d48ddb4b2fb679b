import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { StartError } from '../src/core/start-error.ts';
import { createLog } from '../src/log.ts';
import { openDataDir } from '../src/store/data-dir.ts';
import { startEmbeddedPostgres } from '../src/store/embedded-postgres.ts';
import { buildWeb } from './build-web.ts';
import { KeptProcess } from './kept-process.ts';
import { ensureNatsServer } from './nats-server.ts';
import { isNatsListening, placeNatsServers, untilJetStream } from './nats-servers.ts';
import { isFree } from './processes.ts';

/**
 * `npm run demo:cluster`: three nodes, three nats-servers and one PostgreSQL on this machine, to be played with. What is
 * killed is started again after a moment. Ctrl-C ends all of it; the data stay.
 */

const usage = `npm run demo:cluster -- [--port 8081] [--data-dir ./data/demo-cluster] [--fresh]

  --port      of the first node; the others have the next two
  --data-dir  where everything is kept
  --fresh     forget what was there
`;

const root = fileURLToPath(new URL('..', import.meta.url));
const count = 3;
/** What is in the data directory, and may be removed by --fresh. */
const folders = ['postgres', 'nats', 'objects', 'n1', 'n2', 'n3'];
const stopNodesMs = 6_500;
const stopNatsMs = 1_000;
/** Whatever happens, everything is gone by then. */
const stopAllMs = 9_500;
/** The same signal again within this is its echo: npm hands its own on. */
const echoMs = 300;

interface Demo {
  readonly nodes: readonly KeptProcess[];
  readonly urls: readonly string[];
  readonly nats: readonly string[];
  readonly dataDir: string;
}

const undo: (() => Promise<void> | void)[] = [];
const kept: KeptProcess[] = [];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function readArgs(): { port: number; dataDir: string; fresh: boolean } | undefined {
  const options = {
    port: { type: 'string', default: '8081' },
    'data-dir': { type: 'string', default: join(root, 'data/demo-cluster') },
    fresh: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new StartError(`${(error as Error).message}: see --help`);
  }
  if (values.help) return undefined;
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535 - count)
    throw new StartError(`--port ${values.port} is no port`);
  return { port, dataDir: resolve(values['data-dir']), fresh: values.fresh };
}

async function startNats(folder: string, program: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const places = await placeNatsServers({ folder, count });
  const urls = places.map(({ port }) => `nats://127.0.0.1:${port}`);
  const servers = places.map(
    ({ name, port, config }) =>
      new KeptProcess({
        name: `nats-server ${name}`,
        program,
        args: ['-c', config],
        logFile: join(folder, `${name}.log`),
        isReady: () => isNatsListening(port),
        say,
      }),
  );
  kept.push(...servers);
  undo.push(async () => void (await Promise.all(servers.map((server) => server.stop(stopNatsMs)))));
  await Promise.all(servers.map((server) => server.start()));
  const client = await connect({ servers: urls });
  try {
    await untilJetStream(client, count);
  } finally {
    await client.close();
  }
  return urls;
}

async function startPostgres(dataDir: string): Promise<string> {
  const { address, stop } = await startEmbeddedPostgres({
    dataDir,
    sharedBuffersBytes: 64 * 2 ** 20,
    log: createLog({ level: 'error', format: 'pretty' }),
    onExit: () => say('PostgreSQL has ended; it is started again'),
  });
  undo.push(stop);
  if (!('socketDir' in address)) throw new Error('the embedded PostgreSQL has a socket');
  const { user, port, database, socketDir } = address;
  return `postgres://${user}@localhost:${port}/${database}?host=${encodeURIComponent(socketDir)}`;
}

function makeNode(index: number, port: number, dataDir: string, shared: readonly string[]): KeptProcess {
  const name = `n${index + 1}`;
  const own = ['--node-id', name, '--port', String(port), '--data-dir', join(dataDir, name)];
  return new KeptProcess({
    name,
    program: process.execPath,
    args: [join(root, 'src/main.ts'), '--demo', '--workers', '1', ...own, ...shared],
    logFile: join(dataDir, name, 'node.log'),
    isReady: () => isNodeReady(port),
    say,
  });
}

async function isNodeReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

async function startAll(): Promise<Demo | undefined> {
  const args = readArgs();
  if (args === undefined) return undefined;
  const { port: first, dataDir, fresh } = args;
  const ports = Array.from({ length: count }, (_, index) => first + index);
  for (const port of ports)
    if (!(await isFree(port))) throw new StartError(`port ${port} is in use: choose others with --port`);
  if (!buildWeb()) throw new StartError('there are no pages');
  const program = ensureNatsServer('the demo of the cluster');
  // It has said why.
  if (program === undefined) throw new StartError('');
  const lock = await openDataDir(dataDir);
  undo.push(() => lock.close());
  if (fresh)
    await Promise.all(folders.map((name) => rm(join(dataDir, name), { recursive: true, force: true })));
  say('starting three nodes, three nats-servers and PostgreSQL …');
  const [nats, postgres] = await Promise.all([
    startNats(join(dataDir, 'nats'), program),
    startPostgres(dataDir),
    ...folders.slice(2).map((name) => mkdir(join(dataDir, name), { recursive: true })),
  ]);
  const objects = `file://${join(dataDir, 'objects')}`;
  const shared = ['--nats', nats.join(','), '--postgres', postgres, '--objects', objects];
  const nodes = ports.map((port, index) => makeNode(index, port, dataDir, shared));
  kept.push(...nodes);
  undo.push(async () => void (await Promise.all(nodes.map((node) => node.stop(stopNodesMs)))));
  // The first makes the schema and the agents.
  await nodes[0]!.start();
  await Promise.all(nodes.slice(1).map((node) => node.start()));
  return { nodes, urls: ports.map((port) => `http://127.0.0.1:${port}`), nats, dataDir };
}

function welcome({ nodes, urls, nats, dataDir }: Demo): string {
  const rows = nodes.map(
    ({ name, pid }, index) =>
      `  ${name}  pid ${String(pid).padEnd(8)} shop ${urls[index]}/   desk ${urls[index]}/desk   cluster ${urls[index]}/cluster`,
  );
  return [
    '',
    'the cluster is ready',
    ...rows,
    '',
    '  agents   agent1@demo.kefu … agent5@demo.kefu, password: demo',
    '  admin    admin@demo.kefu, password: demo: for the cluster page',
    `  NATS     ${nats.join(',')}`,
    `  data     ${dataDir}`,
    '',
    'to try:',
    `  - open ${urls[0]}/ as a customer and ${urls[1]}/desk as agent1, and talk`,
    `  - open ${urls[2]}/cluster as admin, and kill a node: kill -9 ${nodes[0]!.pid}`,
    '    its shards find new owners, the talk goes on; it is started again after 5 s',
    `  - npm run kefu -- cluster status --url ${urls[1]}`,
    '',
    'Ctrl-C ends everything.',
    '',
  ].join('\n');
}

async function stopAll(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

function killAll(code: number): never {
  for (const each of kept) each.kill();
  // PostgreSQL gets its signal from the kernel when we are gone.
  process.exit(code);
}

let stoppingSince: number | undefined;

function listenToSignals(): void {
  const stop = (): void => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > echoMs) killAll(1);
      return;
    }
    stoppingSince = performance.now();
    say('stopping …');
    setTimeout(() => killAll(1), stopAllMs).unref();
    void stopAll().then(() => process.exit(0));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
}

listenToSignals();
try {
  const demo = await startAll();
  if (stoppingSince === undefined) process.stdout.write(demo === undefined ? usage : welcome(demo));
} catch (error) {
  const { message } = error as Error;
  // What was being started when it was told to stop has failed for that.
  if (stoppingSince !== undefined) await new Promise(() => undefined);
  if (message !== '')
    process.stderr.write(`kefu: ${error instanceof StartError ? message : String(error)}\n`);
  await stopAll();
  process.exit(1);
}
