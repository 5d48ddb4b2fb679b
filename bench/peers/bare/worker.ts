import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import * as uWS from 'uWebSockets.js';
import { openPool, type DatabaseAddress } from '../../../src/store/database.ts';

/** A thread of the bare peer: its sockets, its sessions, and its one connection to PostgreSQL. */
interface Start {
  readonly index: number;
  readonly workerCount: number;
  readonly shardCount: number;
  readonly port: number;
  readonly address: DatabaseAddress;
}
interface Say {
  readonly t: string;
  readonly ref: number;
  readonly session: string;
  readonly id: string;
  readonly body: string;
}
interface Session {
  seq: number;
  readonly sockets: { readonly worker: number; readonly socket: number }[];
}
interface Waiting {
  readonly shard: number;
  readonly session: Session;
  readonly seq: number;
  readonly data: string;
  readonly say: Say;
  readonly from: { readonly worker: number; readonly socket: number };
}
/** Between threads: what a socket said, or what one is to be told. */
type Post = { readonly say: Say; readonly socket: number } | { readonly tell: number; readonly text: string };

const { index, workerCount, shardCount, port, address } = workerData as Start;
const sql = openPool(address, `bare ${index}`, 1, 0);
const sockets = new Map<number, uWS.WebSocket<{ number: number }>>();
const sessions = new Map<string, Session>();
const ports: (MessagePort | undefined)[] = [];
const posts: Post[][] = Array.from({ length: workerCount }, () => []);
const texts = new Map<number, string[]>();
let queue: Waiting[] = [];
let isFlying = false;
let nextSocket = 0;

/** Everything that goes to another thread in a turn goes in one post. */
function post(worker: number, item: Post): void {
  if (posts[worker]!.length === 0)
    setImmediate(() => {
      ports[worker]!.postMessage(posts[worker]);
      posts[worker] = [];
    });
  posts[worker]!.push(item);
}

/** Everything that goes to a socket in a turn goes in one write. */
function tell(socket: number, text: string): void {
  if (texts.size === 0) setImmediate(flush);
  const list = texts.get(socket);
  if (list === undefined) texts.set(socket, [text]);
  else list.push(text);
}

function flush(): void {
  for (const [socket, list] of texts) {
    const ws = sockets.get(socket);
    ws?.cork(() => {
      for (const text of list) ws.send(text);
    });
  }
  texts.clear();
}

function shardOf(session: string): number {
  return Number.parseInt(session.slice(0, 8), 16) % shardCount;
}

function take(say: Say, worker: number, socket: number): void {
  const shard = shardOf(say.session);
  let session = sessions.get(say.session);
  if (session === undefined) sessions.set(say.session, (session = { seq: 0, sockets: [] }));
  if (say.t === 'hello') {
    session.sockets.push({ worker, socket });
    return answer(worker, socket, '{"t":"ready"}');
  }
  if (say.t !== 'say') return;
  session.seq += 1;
  const { seq } = session;
  const data = JSON.stringify({
    session: say.session,
    seq,
    id: say.id,
    type: 'message',
    from: { kind: 'customer', id: say.session, name: 'Bench' },
    at: new Date().toISOString(),
    body: { type: 'text', text: say.body },
  });
  queue.push({ shard, session, seq, data, say, from: { worker, socket } });
  if (!isFlying && queue.length === 1) setImmediate(() => void fly());
}

function answer(worker: number, socket: number, text: string): void {
  if (worker === index) tell(socket, text);
  else post(worker, { tell: socket, text });
}

const statement = `
with held as materialized (
  select s.id from shards s join unnest($1::text::int[]) f (id) on f.id = s.id and s.epoch = 1 order by s.id for share of s
), added as (
  insert into events select e.session, e.seq, e.data::json
  from unnest($2::text::uuid[], $3::text::int[], $4::text::int[], string_to_array($5, E'\\x01')) e (session, seq, shard, data)
  join held on held.id = e.shard
)
select count(*)::int as held from held`;

async function fly(): Promise<void> {
  isFlying = true;
  while (queue.length > 0) {
    const batch = queue;
    queue = [];
    const shards = [...new Set(batch.map((it) => it.shard))];
    const list = (values: readonly (string | number)[]): string => `{${values.join(',')}}`;
    const params = [
      list(shards),
      list(batch.map((it) => it.say.session)),
      list(batch.map((it) => it.seq)),
      list(batch.map((it) => it.shard)),
      batch.map((it) => it.data).join('\u0001'),
    ];
    const rows = await sql.unsafe<{ held: number }[]>(statement, params, { prepare: true });
    if (rows[0]!.held !== shards.length) throw new Error('a fence did not hold');
    for (const { session, seq, data, say, from } of batch) {
      const ack = {
        t: 'ack',
        ref: say.ref,
        session: say.session,
        id: say.id,
        seq,
        at: new Date().toISOString(),
      };
      answer(from.worker, from.socket, JSON.stringify(ack));
      const event = `{"t":"event",${data.slice(1)}`;
      for (const { worker, socket } of session.sockets)
        if (worker !== from.worker || socket !== from.socket) answer(worker, socket, event);
    }
  }
  isFlying = false;
}

parentPort!.on('message', (link: { worker: number; port: MessagePort }) => {
  ports[link.worker] = link.port;
  link.port.on('message', (items: readonly Post[]) => {
    for (const item of items)
      if ('say' in item) take(item.say, link.worker, item.socket);
      else tell(item.tell, item.text);
  });
});

uWS
  .App()
  .ws<{ number: number }>('/v1/ws', {
    idleTimeout: 0,
    upgrade(response, request, context) {
      nextSocket += 1;
      const key = request.getHeader('sec-websocket-key');
      response.upgrade({ number: nextSocket }, key, '', '', context);
    },
    open: (ws) => void sockets.set(ws.getUserData().number, ws),
    close: (ws) => void sockets.delete(ws.getUserData().number),
    message(ws, message) {
      const say = JSON.parse(Buffer.from(message).toString('utf8')) as Say;
      if (say.session === undefined) return;
      const owner = shardOf(say.session) % workerCount;
      const socket = ws.getUserData().number;
      if (owner === index) take(say, index, socket);
      else post(owner, { say, socket });
    },
  })
  .listen('127.0.0.1', port, () => parentPort!.postMessage('listening'));
