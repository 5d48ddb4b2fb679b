import type * as uWS from 'uWebSockets.js';
import type { Actor as EngineActor, ActorKind, Reply, ThreadId } from '../actors/engine/types.ts';
import { gatewayKind, type GatewayMessage } from '../actors/messages.ts';
import type { Clock } from '../core/clock.ts';
import { assert, refusal } from '../core/errors.ts';
import { chooseCodec, type Codec } from './codec.ts';
import { closeCodes, Connection, type ConnectionHost, type Socket } from './connection.ts';
import { EventFrames } from './event-frames.ts';
import type { SharedLimits } from './connection-counter.ts';
import { addressKey } from './http-server.ts';

/** A socket's own data: what uWebSockets.js carries with it. */
interface Attached {
  codec: Codec;
  limitKey: string;
  socket: OpenSocket | undefined;
  connection: Connection | undefined;
}

/** A socket as connections know it; one that is gone must not be touched. */
class OpenSocket implements Socket {
  #ws: uWS.WebSocket<Attached> | undefined;

  constructor(ws: uWS.WebSocket<Attached>) {
    this.#ws = ws;
  }

  send(data: string | Uint8Array, binary: boolean): boolean {
    return this.#ws !== undefined && this.#ws.send(data, binary) !== 2;
  }

  buffered(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  cork(work: () => void): void {
    if (this.#ws === undefined) work();
    else this.#ws.cork(work);
  }

  close(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }

  gone(): void {
    this.#ws = undefined;
  }
}

export interface GatewayOptions {
  readonly thread: ThreadId;
  readonly clock: Clock;
  /** Made later than the gateway, which the actor system needs first. */
  readonly host: () => ConnectionHost;
  readonly shared: SharedLimits;
  readonly limits: {
    readonly frameBytes: number;
    readonly helloMs: number;
    readonly heartbeatMs: number;
    readonly outputBytes: number;
  };
  readonly trustProxy: boolean;
  /** Above every number of the thread's earlier lives: a message for a connection of then must not find one of now. */
  readonly firstNumber: number;
  readonly metrics: () => Promise<unknown>;
  readonly rejected: (code: string) => void;
}

const tickMs = 1000;

/**
 * The connections of one thread: takes sockets from uWebSockets.js within the limits, hands their frames to
 * connections, and messages of actors to the connections they are for. One actor, `gateway/<thread>`.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #connections = new Map<number, Connection>();
  #next: number;
  #closing = false;
  #ticks = 0;
  /** Connections that have ended since the start. */
  closed = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#next = options.firstNumber;
    this.#tick();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** The gateway as an actor, for the engine. */
  kind(): ActorKind<GatewayMessage> {
    const actor: EngineActor<GatewayMessage> = {
      receive: (message, reply) => this.#receive(message, reply),
      mayPassivate: () => false,
      describe: () => ({ connections: this.#connections.size }),
    };
    return { ...gatewayKind, mailboxMax: 1_000_000, idleMs: 3_600_000, create: () => actor };
  }

  attach(app: uWS.TemplatedApp): void {
    const { limits } = this.#options;
    app.ws<Attached>('/v1/ws', {
      // A frame above the limit is answered by the connection; far above it the socket is cut without a word.
      maxPayloadLength: 16 * limits.frameBytes,
      // Ours answers with a frame and tells slow from dead; uWebSockets.js would only cut.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      maxBackpressure: 16 * limits.outputBytes,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#opened(socket),
      message: (socket, message, isBinary) =>
        socket.getUserData().connection?.receive(message, isBinary, this.#options.clock.nowMs()),
      drain: (socket) => socket.getUserData().connection?.follower.drained(),
      close: (socket) => this.#closed(socket),
    });
  }

  #upgrade(response: uWS.HttpResponse, request: uWS.HttpRequest, context: uWS.us_socket_context_t): void {
    const { shared, clock, trustProxy, rejected } = this.#options;
    const limitKey = addressKey(response, request, trustProxy);
    const refuse = (status: string, code: string, message: string, waitMs: number): void => {
      rejected(code);
      response.cork(() => {
        response.writeStatus(status).writeHeader('Content-Type', 'application/json');
        if (waitMs > 0) response.writeHeader('Retry-After', String(Math.ceil(waitMs / 1000)));
        const error = waitMs > 0 ? { code, message, retry_after_ms: waitMs } : { code, message };
        response.end(JSON.stringify({ error }));
      });
    };
    if (this.#closing) return refuse('503 Service Unavailable', 'unavailable', 'this node is stopping', 1000);
    const waitMs = shared.takeConnect(limitKey, clock.nowMs());
    if (waitMs > 0)
      return refuse('429 Too Many Requests', 'rate_limited', 'too many connects from this address', waitMs);
    const offered = request.getHeader('sec-websocket-protocol');
    const codec = chooseCodec(offered);
    if (codec === undefined) {
      const known = 'offer the subprotocol kefu.json.v1 or kefu.msgpack.v1, or none';
      return refuse('400 Bad Request', 'bad_request', known, 0);
    }
    const admission = shared.enter(limitKey);
    if (admission === 'ip_full')
      return refuse('429 Too Many Requests', 'rate_limited', 'too many connections from this address', 5000);
    if (admission === 'node_full')
      return refuse('503 Service Unavailable', 'busy', 'this node has as many connections as it takes', 5000);
    response.upgrade<Attached>(
      { codec, limitKey, socket: undefined, connection: undefined },
      request.getHeader('sec-websocket-key'),
      offered.trim() === '' ? '' : codec.name,
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  #opened(ws: uWS.WebSocket<Attached>): void {
    const attached = ws.getUserData();
    const number = this.#next;
    this.#next += 1;
    const socket = new OpenSocket(ws);
    const nowMs = this.#options.clock.nowMs();
    const connection = new Connection(number, this.#options.host(), socket, attached.codec, nowMs);
    attached.socket = socket;
    attached.connection = connection;
    this.#connections.set(number, connection);
  }

  #closed(ws: uWS.WebSocket<Attached>): void {
    const { connection, socket, limitKey } = ws.getUserData();
    this.#options.shared.leave(limitKey);
    socket?.gone();
    if (connection === undefined) return;
    this.#connections.delete(connection.number);
    this.closed += 1;
    connection.closed();
  }

  /** Deadlines of all connections in one pass a second: a timer each would cost more than they do. */
  #tick(): void {
    const { clock, limits } = this.#options;
    clock.after(tickMs, () => {
      if (this.#closing) return;
      this.#tick();
      this.#ticks += 1;
      const now = clock.nowMs();
      const wall = clock.wallMs();
      for (const connection of this.#connections.values()) {
        if (connection.expiresAtMs < wall) connection.end(expired, closeCodes.unauthorized);
        else if (!connection.isReady && limits.helloMs > 0 && now - connection.sinceMs > limits.helloMs)
          connection.end(helloLate, closeCodes.badFrame);
        else if (limits.heartbeatMs > 0 && now - connection.heardAtMs > 2.5 * limits.heartbeatMs)
          connection.end(silent, closeCodes.gone);
        else connection.tick(this.#ticks);
      }
    });
  }

  /** Actors of these keys started anew: connections that follow one come again. */
  restarted(lost: (kind: string, key: string) => boolean): void {
    for (const connection of this.#connections.values()) connection.restarted(lost);
  }

  /** Tells everybody to go, and when to come back. */
  goaway(reason: string): void {
    this.#closing = true;
    let place = 0;
    for (const connection of this.#connections.values()) {
      // Spread over two seconds, so that they do not all come back at once.
      connection.goaway(reason, 200 + (place % 1800));
      place += 1;
    }
  }

  #receive(message: GatewayMessage, reply: Reply | undefined): void | Promise<void> {
    switch (message.type) {
      case 'events': {
        const frames = new EventFrames(message.events);
        for (const conn of message.conns)
          this.#connections.get(conn)?.follower.events(message.session, frames);
        return;
      }
      case 'head':
        for (const conn of message.conns)
          this.#connections.get(conn)?.follower.headIs(message.session, message.head);
        return;
      case 'snapshot':
        return this.#connections.get(message.conn)?.follower.snapshot(message.session, message);
      case 'page':
        return this.#connections
          .get(message.conn)
          ?.follower.page(message.session, message.events, message.head);
      case 'missed':
        return this.#connections.get(message.conn)?.follower.missed(message.session, message.refusal);
      case 'said':
        return this.#connections
          .get(message.conn)
          ?.follower.said(message.session, message.id, message.seq, message.at);
      case 'refused':
        return this.#connections
          .get(message.conn)
          ?.follower.refused(message.session, message.id, message.refusal);
      case 'stranger':
        return this.#connections.get(message.conn)?.stranger(message.session, message.id, message.body);
      case 'frame':
        for (const conn of message.conns) this.#connections.get(conn)?.frame(message.frame);
        return;
      case 'assigned':
        for (const conn of message.conns) this.#connections.get(conn)?.assigned(message.session);
        return;
      case 'released':
        for (const conn of message.conns)
          this.#connections.get(conn)?.follower.released(message.session, message.reason, message.seq);
        return;
      case 'supersede':
        this.#connections.get(message.conn)?.end(superseded, closeCodes.superseded);
        return;
      case 'restarted':
        return this.restarted((kind, key) => kind === message.kind && key === message.key);
      case 'metrics':
        assert(reply, 'metrics are asked for');
        return this.#options.metrics().then((value) => reply.ok(value));
    }
  }
}

const expired = refusal('unauthorized', 'the token has expired: get another');
const helloLate = refusal('bad_frame', 'no hello in time');
const silent = refusal('unavailable', 'nothing was heard for 2.5 heartbeats');
const superseded = refusal('superseded', 'newer connections of the same agent took this one’s place');
