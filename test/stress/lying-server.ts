import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

/** A server in a hundred lines that speaks the contract's protocol, and breaks its promises as it is told to. */
export type Lie = 'none' | 'lost' | 'twice' | 'gap';

interface Event {
  readonly t: 'event';
  readonly session: string;
  readonly seq: number;
  readonly id?: string;
  readonly type: string;
  readonly from: { readonly kind: string; readonly id: string };
  readonly body?: unknown;
}

interface Session {
  readonly id: string;
  readonly customer: WebSocket;
  readonly agent: WebSocket | undefined;
  readonly events: Event[];
}

// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

/** Of so many messages one is lied about. */
const lieEvery = 7;

export async function startLyingServer(lie: Lie): Promise<{ url: string; stop: () => void }> {
  const sessions = new Map<string, Session>();
  const agents: WebSocket[] = [];
  const seenIds = new Map<string, number>();
  let said = 0;

  const viewOf = ({ id, events }: Session): object => ({
    id,
    state: 'chatting',
    last_seq: events.length,
    attributes: {},
    opened_at: new Date().toISOString(),
  });
  const send = (to: WebSocket | undefined, frame: object): void => to?.send(JSON.stringify(frame));

  function add(
    session: Session,
    event: Pick<Event, 'type' | 'from'> & Partial<Event>,
    sayer?: WebSocket,
  ): Event {
    const whole: Event = { t: 'event', session: session.id, seq: session.events.length + 1, ...event };
    session.events.push(whole);
    for (const to of [session.customer, session.agent]) if (to !== sayer) send(to, whole);
    return whole;
  }

  function say(socket: WebSocket, { session: id, id: message, body, ref }: Json): void {
    const session = sessions.get(id)!;
    const known = seenIds.get(message);
    if (known !== undefined)
      return send(socket, { t: 'ack', ref, session: id, id: message, seq: known, repeat: true });
    said += 1;
    const isLie = said % lieEvery === 0;
    const kind = socket === session.customer ? 'customer' : 'agent';
    const event = add(
      session,
      { type: 'message', id: message, from: { kind, id: kind }, body: { text: body } },
      socket,
    );
    seenIds.set(message, event.seq);
    send(socket, { t: 'ack', ref, session: id, id: message, seq: event.seq });
    const other = kind === 'customer' ? session.agent : session.customer;
    if (isLie && lie === 'twice') send(other, event);
    if (isLie && lie === 'gap') send(other, { ...event, id: undefined, seq: session.events.length + 5 });
    if (isLie && lie === 'lost')
      session.events[event.seq - 1] = { ...event, id: 'another', body: { text: '' } };
  }

  function open(socket: WebSocket, { ref }: Json): void {
    const session: Session = { id: randomUUID(), customer: socket, agent: agents[0], events: [] };
    sessions.set(session.id, session);
    const from = { kind: 'system', id: 'system' };
    send(socket, { t: 'opened', ref, session: viewOf(session) });
    send(agents[0], { t: 'assigned', session: viewOf(session), customer: {}, events: [] });
    add(session, { type: 'opened', from });
    add(session, { type: 'assigned', from });
  }

  function hear(socket: WebSocket, frame: Json): void {
    if (frame.t === 'hello') {
      const isAgent = frame.token === 'agent';
      if (isAgent) agents.push(socket);
      const me = { kind: isAgent ? 'agent' : 'customer', presence: 'away' };
      const mine = Object.entries((frame.resume ?? {}) as Record<string, number>);
      send(socket, {
        t: 'ready',
        me,
        heartbeat_ms: 25_000,
        sessions: mine.map(([id]) => viewOf(sessions.get(id)!)),
      });
      for (const [id, seq] of mine) {
        const session = { ...sessions.get(id)!, [isAgent ? 'agent' : 'customer']: socket };
        sessions.set(id, session);
        for (const event of session.events.slice(seq)) send(socket, event);
      }
    } else if (frame.t === 'open') open(socket, frame);
    else if (frame.t === 'say') say(socket, frame);
    else if (frame.t === 'ping') send(socket, { t: 'pong' });
    else if (frame.t === 'presence') send(socket, { t: 'ok', ref: frame.ref });
    else if (frame.t === 'close') {
      send(socket, { t: 'ok', ref: frame.ref });
      add(sessions.get(frame.session)!, { type: 'closed', from: { kind: 'customer', id: 'customer' } });
    }
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const [path = ''] = request.url!.split('?');
    const reply = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const history = /^\/v1\/sessions\/([^/]+)\/events$/.exec(path);
    if (history !== null) return reply(200, { data: sessions.get(history[1]!)!.events, next: null });
    if (path === '/v1/login') return reply(200, { agent: { role: 'admin' }, token: 'agent' });
    if (path === '/v1/visitors') return reply(201, { customer: {}, token: 'customer' });
    if (path === '/readyz') return reply(200, {});
    reply(path === '/metrics' ? 404 : 201, {});
  }

  const server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data: Buffer) => hear(socket, JSON.parse(data.toString())));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
