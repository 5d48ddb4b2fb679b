import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import type { DatabaseAddress } from '../../../src/store/database.ts';
import { freePort } from '../../../scripts/processes.ts';
import { openPeerPool } from '../peer.ts';

/**
 * What a team that knows Node well would write: Socket.IO 4, two processes behind one port, the Redis adapter between
 * them, a room for each session, and an insert before the ack. Tuned: WebSocket only, so that no sticky sessions are
 * needed; no compression; binary text parser as it comes; prepared statements over a Unix socket, ten connections a process, several
 * inserts on their way on each. With `batch`, inserts that come while one is on its way go together in the next, as kefu does.
 */
interface Start {
  readonly address: DatabaseAddress;
  /** Of Redis. */
  readonly socket: string;
  readonly batch: boolean;
}
interface Say {
  readonly session: string;
  readonly id: string;
  readonly body: string;
}
interface Stored {
  readonly seq: string;
  readonly at: string;
}

const processCount = 2;
const connections = 10;
const { address, socket: redisSocket, batch } = JSON.parse(process.argv[2]!) as Start;

async function lead(): Promise<void> {
  const sql = openPeerPool(address, 1);
  await sql`create table messages (seq bigserial primary key, session uuid not null, id text not null, body text not null,
    at timestamptz not null default now(), unique (session, id))`;
  await sql.end();
  const port = await freePort();
  const workers = Array.from({ length: processCount }, () => cluster.fork({ PEER_PORT: String(port) }));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  process.send?.({ port });
  process.on('disconnect', () => process.exit(0));
}

async function serve(port: number): Promise<void> {
  const sql = openPeerPool(address, batch ? 1 : connections);
  const http = createServer();
  const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false });
  const publisher = createClient({ socket: { path: redisSocket, tls: false } });
  const subscriber = publisher.duplicate();
  for (const client of [publisher, subscriber])
    // It ends with Redis: at the end of the run, or too early, which the load notices.
    client.on('error', () => process.exit(1));
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));

  async function insertOne({ session, id, body }: Say): Promise<Stored> {
    const [row] = await sql<
      Stored[]
    >`insert into messages (session, id, body) values (${session}, ${id}, ${body})
      returning seq, at`;
    return row!;
  }
  let waiting: { say: Say; done: (stored: Stored) => void }[] = [];
  let isFlying = false;
  function insertTogether(say: Say): Promise<Stored> {
    return new Promise((done) => {
      waiting.push({ say, done });
      if (!isFlying && waiting.length === 1) setImmediate(() => void fly());
    });
  }
  async function fly(): Promise<void> {
    isFlying = true;
    while (waiting.length > 0) {
      const now = waiting;
      waiting = [];
      const [sessions, ids, bodies] = (['session', 'id', 'body'] as const).map((field) =>
        now.map(({ say }) => say[field]),
      );
      const rows = await sql<Stored[]>`insert into messages (session, id, body)
        select * from unnest(${sessions!}::text[]::uuid[], ${ids!}::text[], ${bodies!}::text[]) returning seq, at`;
      now.forEach(({ done }, index) => done(rows[index]!));
    }
    isFlying = false;
  }
  const insert = batch ? insertTogether : insertOne;

  io.on('connection', (socket) => {
    socket.on('hello', async (session: string, done: () => void) => {
      await socket.join(session);
      done();
    });
    socket.on('say', async (say: Say, ack: (stored: Stored) => void) => {
      const stored = await insert(say);
      ack(stored);
      socket.to(say.session).emit('event', { ...say, ...stored });
    });
  });
  http.listen(port, '127.0.0.1', () => process.send!('listening'));
  process.on('disconnect', () => process.exit(0));
}

await (cluster.isPrimary ? lead() : serve(Number(process.env['PEER_PORT'])));
