import * as uWS from 'uWebSockets.js';
import { freePort } from '../../../scripts/processes.ts';

/**
 * uWebSockets.js alone, nothing stored, one thread, since one core is the load generator's. As one writes it first: a
 * frame is parsed, and an ack and an event are made and sent. With `bytes`, the ceiling: a frame goes to the other side
 * as the bytes that came, an ack of a few bytes goes back, and all that a socket gets in a turn leaves in one write.
 */
interface Socket {
  other: uWS.WebSocket<Socket> | undefined;
}
interface Say {
  readonly t: string;
  readonly ref: number;
  readonly session: string;
  readonly id: string;
  readonly body: string;
}
const { bytes: isBytes } = JSON.parse(process.argv[2]!) as { bytes: boolean };
const port = await freePort();
const waiting = new Map<string, uWS.WebSocket<Socket>>();
const sayStart = '{"t":"say"';
const refKey = '"ref":';
const outputs = new Map<uWS.WebSocket<Socket>, (string | Buffer)[]>();

function tell(ws: uWS.WebSocket<Socket>, text: string | Buffer): void {
  if (outputs.size === 0) setImmediate(flush);
  const list = outputs.get(ws);
  if (list === undefined) outputs.set(ws, [text]);
  else list.push(text);
}

function flush(): void {
  for (const [ws, list] of outputs)
    ws.cork(() => {
      for (const text of list) ws.send(text, false);
    });
  outputs.clear();
}

/** Whether the frame was a message; it is valid during the call only. */
function relayBytes(ws: uWS.WebSocket<Socket>, frame: Buffer): boolean {
  if (frame.toString('latin1', 0, sayStart.length) !== sayStart) return false;
  const at = frame.indexOf(refKey) + refKey.length;
  tell(ws, `{"t":"ack",${refKey}${frame.toString('latin1', at, frame.indexOf(',', at))}}`);
  tell(ws.getUserData().other!, Buffer.from(frame));
  return true;
}

function relay(ws: uWS.WebSocket<Socket>, say: Say): void {
  if (say.t === 'hello') return join(ws, say.session);
  if (say.t !== 'say') return;
  const { ref, session, id, body } = say;
  const at = new Date().toISOString();
  ws.send(JSON.stringify({ t: 'ack', ref, session, id, seq: 1, at }));
  const event = { t: 'event', session, seq: 1, id, at, body: { type: 'text', text: body } };
  ws.getUserData().other!.send(JSON.stringify(event));
}

function join(ws: uWS.WebSocket<Socket>, session: string): void {
  const other = waiting.get(session);
  if (other === undefined) waiting.set(session, ws);
  else {
    ws.getUserData().other = other;
    other.getUserData().other = ws;
  }
  ws.send('{"t":"ready"}');
}

uWS
  .App()
  .ws<Socket>('/v1/ws', {
    idleTimeout: 0,
    upgrade(response, request, context) {
      response.upgrade({ other: undefined }, request.getHeader('sec-websocket-key'), '', '', context);
    },
    message(ws, message) {
      const frame = Buffer.from(message);
      if (!isBytes || !relayBytes(ws, frame)) relay(ws, JSON.parse(frame.toString('utf8')) as Say);
    },
  })
  .listen('127.0.0.1', port, () => void process.send?.({ port }));
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
