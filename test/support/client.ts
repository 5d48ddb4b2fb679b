import { inspect } from 'node:util';
import { Packr } from 'msgpackr';
import type { TestNode } from './node.ts';

const packr = new Packr({ useRecords: false });

// A frame of the wire, whatever it holds: tests look into it.
// oxlint-disable-next-line typescript/no-explicit-any
export type Frame = any;

export type Encoding = 'kefu.json.v1' | 'kefu.msgpack.v1';

const waitMs = 10_000;

/** A client of the contract that checks promise 2 while it works: every seq once, in order, without a gap. */
export class Client {
  readonly frames: Frame[] = [];
  readonly faults: string[] = [];
  /** The last seq of each session, as a client that resumes would keep it. */
  readonly lastSeq: Record<string, number> = {};
  closed: { code: number; reason: string } | undefined;
  /** Told of each frame after it was checked. */
  onFrame: (frame: Frame) => void = () => undefined;
  readonly #ws: WebSocket;
  readonly #encoding: Encoding;
  #waiters: { test: (frame: Frame) => boolean; found: (frame: Frame) => void }[] = [];
  #onClosed: (() => void)[] = [];
  #ref = 0;

  private constructor(ws: WebSocket, encoding: Encoding) {
    this.#ws = ws;
    this.#encoding = encoding;
    ws.binaryType = 'arraybuffer';
    ws.addEventListener('message', ({ data }) => {
      const isText = typeof data === 'string';
      if (isText !== (encoding === 'kefu.json.v1')) this.faults.push('a frame of the wrong kind');
      this.#receive(isText ? JSON.parse(data) : packr.unpack(Buffer.from(data as ArrayBuffer)));
    });
    ws.addEventListener('close', ({ code, reason }) => {
      this.closed = { code, reason };
      for (const listener of this.#onClosed) listener();
    });
  }

  static open(url: string, encoding: Encoding = 'kefu.json.v1'): Promise<Client> {
    return new Promise((resolve, reject) => {
      const ws = new WebSocket(url, encoding);
      const client = new Client(ws, encoding);
      ws.addEventListener('open', () => resolve(client));
      ws.addEventListener('error', () => reject(new Error('could not connect')));
    });
  }

  /** Connects and says hello. */
  static async hello(
    url: string,
    token: string,
    options: { resume?: Record<string, number>; encoding?: Encoding } = {},
  ): Promise<Client> {
    const client = await Client.open(url, options.encoding);
    Object.assign(client.lastSeq, options.resume);
    client.send({ t: 'hello', token, ...(options.resume ? { resume: options.resume } : {}) });
    await client.next((frame) => frame.t === 'ready');
    return client;
  }

  get ready(): Frame {
    return this.frames.find((frame) => frame.t === 'ready');
  }

  send(frame: Frame): void {
    this.#ws.send(this.#encoding === 'kefu.json.v1' ? JSON.stringify(frame) : packr.pack(frame));
  }

  sendRaw(data: string | Uint8Array): void {
    this.#ws.send(data);
  }

  /** Sends with a ref, and waits for the frame that bears it. */
  async ask(frame: Frame): Promise<Frame> {
    const ref = `r${(this.#ref += 1)}`;
    const answer = this.next((it) => it.ref === ref);
    this.send({ ...frame, ref });
    return answer;
  }

  say(session: string, id: string, body: unknown = 'hi'): Promise<Frame> {
    return this.ask({ t: 'say', session, id, body });
  }

  /** The first frame that fits, of those that came or will. */
  seen(test: (frame: Frame) => boolean, deadlineMs = waitMs): Promise<Frame> {
    const found = this.frames.find(test);
    return found === undefined ? this.next(test, deadlineMs) : Promise.resolve(found);
  }

  /** The next frame that fits. */
  next(test: (frame: Frame) => boolean, deadlineMs = waitMs): Promise<Frame> {
    const at = new Error('no such frame in time');
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        at.message += `; the last ones: ${inspect(this.frames.slice(-4), { depth: 4 })}`;
        reject(at);
      }, deadlineMs);
      this.#waiters.push({
        test,
        found(frame) {
          clearTimeout(timer);
          resolve(frame);
        },
      });
    });
  }

  untilClosed(deadlineMs = waitMs): Promise<{ code: number; reason: string }> {
    if (this.closed !== undefined) return Promise.resolve(this.closed);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not closed in time')), deadlineMs);
      this.#onClosed.push(() => {
        clearTimeout(timer);
        resolve(this.closed!);
      });
    });
  }

  events(session: string): Frame[] {
    return this.frames.filter((frame) => frame.t === 'event' && frame.session === session);
  }

  close(): void {
    this.#ws.close();
  }

  #receive(frame: Frame): void {
    this.frames.push(frame);
    this.#check(frame);
    this.onFrame(frame);
    const fit = this.#waiters.filter((waiter) => waiter.test(frame));
    this.#waiters = this.#waiters.filter((waiter) => !fit.includes(waiter));
    for (const waiter of fit) waiter.found(frame);
  }

  #check(frame: Frame): void {
    const { session } = frame;
    if (frame.t === 'reset') this.lastSeq[session] = 0;
    if (frame.t === 'assigned') this.lastSeq[session.id] = frame.events.at(-1)?.seq ?? session.last_seq;
    // An agent follows from the head that `ready` tells, unless it resumes.
    if (frame.t === 'ready' && frame.me.kind !== 'customer')
      for (const it of frame.sessions) this.lastSeq[it.id] ??= it.last_seq;
    const counts = frame.t === 'event' || (frame.t === 'ack' && frame.repeat !== true);
    if (!counts) return;
    const last = this.lastSeq[session] ?? 0;
    if (frame.seq !== last + 1) {
      const before = this.frames
        .filter((it) => (it.session?.id ?? it.session) === session || it.t === 'ready')
        .slice(-6);
      this.faults.push(`seq ${frame.seq} after ${last} of ${session}: ${JSON.stringify(before)}`);
    }
    this.lastSeq[session] = frame.seq;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Frame;
}

export async function http(
  node: TestNode,
  method: string,
  path: string,
  options: { token?: string; body?: unknown } = {},
): Promise<Answer> {
  const response = await fetch(`${node.url}${path}`, {
    method,
    headers: {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(options.body === undefined
      ? {}
      : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  const text = await response.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Pages and metrics are no JSON.
  }
  return { status: response.status, headers: response.headers, body };
}

export async function visitor(node: TestNode, name = 'Mei'): Promise<{ id: string; token: string }> {
  const { body } = await http(node, 'POST', '/v1/visitors', { body: { name } });
  return { id: body.customer.id, token: body.token };
}

export async function login(node: TestNode, who: string): Promise<{ id: string; token: string }> {
  const { body } = await http(node, 'POST', '/v1/login', {
    body: { email: `${who}@demo.kefu`, password: 'demo' },
  });
  return { id: body.agent.id, token: body.token };
}

/** An agent that is connected and takes sessions. */
export async function onlineAgent(
  node: TestNode,
  who: string,
  encoding?: Encoding,
): Promise<Client & { id: string; token: string }> {
  const { id, token } = await login(node, who);
  const client = await Client.hello(node.wsUrl, token, encoding === undefined ? {} : { encoding });
  await client.ask({ t: 'presence', state: 'online' });
  return Object.assign(client, { id, token });
}

/** A customer that is connected, with its open session. */
export async function customerWithSession(
  node: TestNode,
  encoding?: Encoding,
): Promise<Client & { session: string; id: string; token: string }> {
  const { id, token } = await visitor(node);
  const client = await Client.hello(node.wsUrl, token, encoding === undefined ? {} : { encoding });
  const { session } = await client.ask({ t: 'open' });
  return Object.assign(client, { id, token, session: session.id as string });
}
