import { MessageChannel, Worker } from 'node:worker_threads';
import { freePort } from '../../../scripts/processes.ts';
import { openPool, type DatabaseAddress } from '../../../src/store/database.ts';

/**
 * What the machine could do at most: the path of a message and nothing else. A JSON frame, uWebSockets.js, the
 * session's thread, group commit with a fence, an ack and an event to the other side. No rules, limits, tokens, ids
 * that are checked, resuming or actors. Tells its port when it serves; ends with its parent.
 */
const workerCount = 2;
const shardCount = 256;
const { address } = JSON.parse(process.argv[2]!) as { address: DatabaseAddress };

const sql = openPool(address, 'bare', 1, 0);
await sql.unsafe(`
  create table shards (id int primary key, epoch int not null);
  insert into shards select generate_series(0, ${shardCount - 1}), 1;
  create table events (session uuid not null, seq int not null, data json not null, primary key (session, seq));`);
await sql.end();
const port = await freePort();
const workers = Array.from({ length: workerCount }, (_, index) => {
  const workerData = { index, workerCount, shardCount, port, address };
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
// Its threads still hold open sockets: nothing to be tidy for.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
