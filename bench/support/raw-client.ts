import { createConnection, type Socket } from 'node:net';

/**
 * The cheapest WebSocket client there is: frames made by hand with a mask of zeros, written together once a turn, and
 * incoming ones cut apart without parsing their JSON. The load generator shares the machine with what it measures.
 */
export class RawClient {
  readonly #socket: Socket;
  #input: Buffer = Buffer.alloc(0);
  #output: Buffer[] = [];
  #flushing = false;
  #greeted = false;
  #onText: (text: string) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static connect(port: number, localAddress?: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ port, host: '127.0.0.1', noDelay: true, ...(localAddress ? { localAddress } : {}) });
      const client = new RawClient(socket);
      socket.once('error', reject);
      socket.on('data', (data) => client.#receive(data, () => resolve(client), reject));
      socket.write(
        `GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      );
    });
  }

  onText(listener: (text: string) => void): void {
    this.#onText = listener;
  }

  onClose(listener: () => void): void {
    this.#socket.on('close', listener);
  }

  /** The next text that holds `part`, parsed. Others go to the listener as usual. */
  async next(part: string): Promise<Record<string, never>> {
    const before = this.#onText;
    return new Promise((resolve) => {
      this.#onText = (text) => {
        if (!text.includes(part)) return before(text);
        this.#onText = before;
        resolve(JSON.parse(text) as Record<string, never>);
      };
    });
  }

  send(text: string): void {
    const body = Buffer.from(text);
    const long = body.length > 125;
    const frame = Buffer.alloc((long ? 8 : 6) + body.length);
    frame[0] = 0x81;
    frame[1] = 0x80 | (long ? 126 : body.length);
    if (long) frame.writeUInt16BE(body.length, 2);
    body.copy(frame, long ? 8 : 6);
    this.#output.push(frame);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const all = this.#output.length === 1 ? this.#output[0]! : Buffer.concat(this.#output);
      this.#output = [];
      this.#socket.write(all);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(data: Buffer, greeted: () => void, failed: (error: Error) => void): void {
    let input = this.#input.length === 0 ? data : Buffer.concat([this.#input, data]);
    if (!this.#greeted) {
      const end = input.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#input = input;
        return;
      }
      const head = input.toString('latin1', 0, end);
      if (!head.startsWith('HTTP/1.1 101')) return failed(new Error(head.split('\r\n', 1)[0]));
      this.#greeted = true;
      input = input.subarray(end + 4);
      greeted();
    }
    let at = 0;
    while (input.length - at >= 2) {
      let length = input[at + 1]! & 0x7f;
      let start = at + 2;
      if (length === 126) {
        if (input.length - at < 4) break;
        length = input.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (input.length - at < 10) break;
        length = Number(input.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      if (input.length < start + length) break;
      if ((input[at]! & 0x0f) === 1) this.#onText(input.toString('latin1', start, start + length));
      at = start + length;
    }
    this.#input = at === input.length ? Buffer.alloc(0) : input.subarray(at);
  }
}
