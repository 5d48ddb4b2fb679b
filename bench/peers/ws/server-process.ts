import { createServer } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import type { DatabaseAddress } from '../../../src/store/database.ts';
import { openPeerPool } from '../peer.ts';

/** The floor: `ws` in one process, an insert before the ack, and the event to the session's other sockets. Tuned as the Socket.IO peer is. */
interface Say {
  readonly t: string;
  readonly ref: number;
  readonly session: string;
  readonly id: string;
  readonly body: string;
}
const connections = 10;
const { address } = JSON.parse(process.argv[2]!) as { address: DatabaseAddress };
const sql = openPeerPool(address, connections);
await sql`create table messages (seq bigserial primary key, session uuid not null, id text not null, body text not null,
  at timestamptz not null default now(), unique (session, id))`;
const rooms = new Map<string, WebSocket[]>();
const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });

server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    const say = JSON.parse(data.toString('utf8')) as Say;
    if (say.t === 'say') return void take(socket, say);
    if (say.t !== 'hello') return;
    const room = rooms.get(say.session);
    if (room === undefined) rooms.set(say.session, [socket]);
    else room.push(socket);
    socket.send('{"t":"ready"}');
  });
});

async function take(socket: WebSocket, { ref, session, id, body }: Say): Promise<void> {
  const [row] =
    await sql`insert into messages (session, id, body) values (${session}, ${id}, ${body}) returning seq, at`;
  const { seq, at } = row as { seq: string; at: string };
  socket.send(JSON.stringify({ t: 'ack', ref, session, id, seq: Number(seq), at }));
  const event = JSON.stringify({
    t: 'event',
    session,
    seq: Number(seq),
    id,
    at,
    body: { type: 'text', text: body },
  });
  for (const other of rooms.get(session)!) if (other !== socket) other.send(event);
}

http.listen(0, '127.0.0.1', () => {
  const bound = http.address();
  process.send?.({ port: typeof bound === 'object' ? bound?.port : undefined });
});
process.on('disconnect', () => process.exit(0));
