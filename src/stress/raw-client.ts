import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * The cheapest WebSocket client there is, for the load generator shares the machine with what it measures: frames are
 * made by hand with a mask of zeros and written as one latin1 text a turn; what comes in is cut apart in one buffer
 * that all sockets share, and handed on as bytes. Nobody parses JSON here.
 */
export type OnFrame = (input: Buffer, start: number, end: number) => void;

/** Where to connect to, and from where. */
export interface Target {
  readonly host: string;
  /** For TLS and the header, where `host` is an address. */
  readonly name?: string;
  readonly port: number;
  readonly isTls?: boolean;
  /** Default: ours. */
  readonly path?: string;
  /** The subprotocol that is offered; default: none. */
  readonly protocol?: string;
  readonly localAddress?: string;
}

/** The upgrade was answered with something else than 101. */
export class UpgradeRefusedError extends Error {
  readonly status: number;
  /** From Retry-After; undefined without one. */
  readonly retryAfterMs: number | undefined;

  constructor(head: string) {
    super(head.split('\r\n', 1)[0]);
    this.status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0);
    const seconds = /\r\nretry-after: *(\d+)/i.exec(head)?.[1];
    this.retryAfterMs = seconds === undefined ? undefined : Number(seconds) * 1000;
  }
}

/** All sockets read into this, one after the other: a frame is only valid during its callback. */
const shared = Buffer.allocUnsafe(256 * 1024);
const nothing = Buffer.alloc(0);

let dirty: RawClient[] = [];

function flushAll(): void {
  const due = dirty;
  dirty = [];
  for (const client of due) client.flush();
}

/** A client's frame, in latin1: a mask of zeros leaves the text as it is. `text` must be ASCII, or UTF-8 as latin1. */
export function frameOf(text: string): string {
  return frameHead(text.length) + text;
}

export function frameHead(length: number): string {
  const size =
    length < 126
      ? String.fromCharCode(0x80 | length)
      : `\xfe${String.fromCharCode(length >>> 8, length & 0xff)}`;
  return `\x81${size}\0\0\0\0`;
}

export class RawClient {
  onFrame: OnFrame = () => undefined;
  onClose: () => void = () => undefined;
  closed = false;
  readonly #socket: Socket;
  #rest: Buffer = nothing;
  #output = '';
  #greeted: (() => void) | undefined;
  #failed: (error: Error) => void;

  private constructor(target: Target, greeted: () => void, failed: (error: Error) => void) {
    this.#greeted = greeted;
    this.#failed = failed;
    this.#socket = target.isTls === true ? this.#openTls(target) : this.#openTcp(target);
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('close', () => {
      this.closed = true;
      this.#failed(new Error('closed before the upgrade'));
      this.onClose();
    });
    const name = target.name ?? target.host;
    const host = isIP(name) === 6 ? `[${name}]` : name;
    this.#socket.write(
      `GET ${target.path ?? '/v1/ws'} HTTP/1.1\r\nHost: ${host}:${target.port}\r\nUpgrade: websocket\r\n` +
        'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
        `${target.protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${target.protocol}\r\n`}\r\n`,
    );
  }

  #openTcp({ host, port, localAddress }: Target): Socket {
    return createConnection({
      port,
      host,
      ...(localAddress === undefined ? {} : { localAddress }),
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length) => {
          this.#receive(shared, length);
          return true;
        },
      },
    });
  }

  #openTls({ host, port, localAddress, name = host }: Target): Socket {
    const socket = connectTls({
      port,
      host,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(isIP(name) === 0 ? { servername: name } : {}),
    });
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => this.#receive(data, data.length));
    return socket;
  }

  static connect(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    return RawClient.open({ host: '127.0.0.1', port, localAddress });
  }

  /** Rejects with an UpgradeRefusedError when the server answers, but not with 101. */
  static open(target: Target): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const client: RawClient = new RawClient(target, () => resolve(client), reject);
    });
  }

  /** The next frame that holds `part`, parsed; others go to `onFrame` as usual. */
  next(part: string, waitMs = 60_000): Promise<unknown> {
    const before = this.onFrame;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no frame with ${part} in time`)), waitMs);
      this.onFrame = (input, start, end) => {
        const text = input.toString('utf8', start, end);
        if (!text.includes(part)) return before(input, start, end);
        clearTimeout(timer);
        this.onFrame = before;
        resolve(JSON.parse(text));
      };
    });
  }

  send(frame: object): void {
    this.sendFrame(frameOf(Buffer.from(JSON.stringify(frame)).toString('latin1')));
  }

  /** A whole frame as `frameOf` makes it; leaves with all others of this turn in one write. */
  sendFrame(frame: string): void {
    if (this.#output === '') {
      if (dirty.length === 0) setImmediate(flushAll);
      dirty.push(this);
    }
    this.#output += frame;
  }

  flush(): void {
    this.#socket.write(this.#output, 'latin1');
    this.#output = '';
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(data: Buffer, length: number): void {
    let input = data;
    let end = length;
    if (this.#rest !== nothing) {
      input = Buffer.concat([this.#rest, data.subarray(0, length)]);
      end = input.length;
      this.#rest = nothing;
    }
    let at = 0;
    if (this.#greeted !== undefined) {
      at = this.#takeHead(input, end);
      if (at < 0) return;
    }
    at = this.#takeFrames(input, at, end);
    if (at < end) this.#rest = Buffer.from(input.subarray(at, end));
  }

  #takeHead(input: Buffer, end: number): number {
    const head = input.toString('latin1', 0, end);
    const length = head.indexOf('\r\n\r\n');
    if (length < 0) {
      this.#rest = Buffer.from(input.subarray(0, end));
      return -1;
    }
    if (!head.startsWith('HTTP/1.1 101')) {
      this.#failed(new UpgradeRefusedError(head));
      this.close();
      return -1;
    }
    this.#greeted!();
    this.#greeted = undefined;
    this.#failed = () => undefined;
    return length + 4;
  }

  #takeFrames(input: Buffer, from: number, end: number): number {
    let at = from;
    while (end - at >= 2) {
      let length = input[at + 1]! & 0x7f;
      let start = at + 2;
      if (length === 126) {
        if (end - at < 4) break;
        length = input.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (end - at < 10) break;
        length = Number(input.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      if (end < start + length) break;
      if ((input[at]! & 0x0f) === 1) this.onFrame(input, start, start + length);
      at = start + length;
    }
    return at;
  }
}
