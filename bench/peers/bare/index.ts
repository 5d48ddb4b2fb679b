import { randomUUID } from 'node:crypto';
import { MessageChannel, Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { freePort, newDataDir, removeDataDir } from '../../support/node.ts';
import { openPool } from '../../../src/store/database.ts';
import { startEmbeddedPostgres } from '../../../src/store/embedded-postgres.ts';

/**
 * What the machine could do at most: the path of a message and nothing else. A JSON frame, uWebSockets.js, the
 * session's thread, group commit with a fence, an ack and an event to the other side. No rules, limits, tokens, ids
 * that are checked, resuming or actors. Prints its port when it serves; ends with its parent.
 */
const workerCount = 2;
const shardCount = 256;

const dataDir = newDataDir();
const postgres = await startEmbeddedPostgres({
  dataDir,
  sharedBuffersBytes: 128 * 2 ** 20,
  log: pino({ level: 'warn' }),
  onExit: () => process.exit(1),
});
const sql = openPool(postgres.address, 'bare', 1, 0);
await sql.unsafe(`
  create table shards (id int primary key, epoch int not null);
  insert into shards select generate_series(0, ${shardCount - 1}), 1;
  create table events (session uuid not null, seq int not null, data json not null, primary key (session, seq));`);
await sql.end();
const port = await freePort();
const workers = Array.from({ length: workerCount }, (_, index) => {
  const workerData = { index, workerCount, shardCount, port, address: postgres.address, run: randomUUID() };
  return new Worker(new URL('worker.ts', import.meta.url), { workerData });
});
for (const worker of workers) worker.on('error', (error) => process.stderr.write(`${error.stack}\n`));
for (let from = 0; from < workerCount; from += 1)
  for (let to = from + 1; to < workerCount; to += 1) {
    const { port1, port2 } = new MessageChannel();
    workers[from]!.postMessage({ worker: to, port: port1 }, [port1]);
    workers[to]!.postMessage({ worker: from, port: port2 }, [port2]);
  }
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
process.send?.({ port });
process.on('disconnect', () => {
  void postgres.stop().then(() => {
    removeDataDir(dataDir);
    // Its threads still hold open sockets: nothing to be tidy for.
    process.kill(process.pid, 'SIGKILL');
  });
});
