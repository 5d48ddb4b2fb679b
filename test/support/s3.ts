import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import crypto, { createHash } from 'node:crypto';
import S3rver from 's3rver';

/** s3rver takes only these. */
process.env['AWS_ACCESS_KEY_ID'] = 'S3RVER';
process.env['AWS_SECRET_ACCESS_KEY'] = 'S3RVER';

export const bucket = 'kefu-test';

/** s3rver hides where a list goes on with DES, which today's OpenSSL has not; any other cipher will do. */
for (const name of ['createCipheriv', 'createDecipheriv'] as const) {
  const original = crypto[name] as (cipher: string, key: Buffer, iv: Buffer) => unknown;
  const twice = (bytes: Buffer): Buffer => Buffer.concat([bytes, bytes]);
  const patched = (cipher: string, key: Buffer, iv: Buffer): unknown =>
    cipher === 'des' ? original('aes-128-cbc', twice(key), twice(iv)) : original(cipher, key, iv);
  Object.assign(crypto, { [name]: patched });
}

/** What the proxy does to one request. */
export type Fault =
  /** An answer of the proxy's own. */
  | { readonly type: 'answer'; readonly status: number; readonly code: string }
  /** No answer, or none of a body's second half, for as long as the proxy lives. */
  | { readonly type: 'hang' }
  | { readonly type: 'hangInBody' }
  /** The connection is cut: before the request arrives, after it was done, in the middle of the answer. */
  | { readonly type: 'reset' }
  | { readonly type: 'resetAfter' }
  | { readonly type: 'cut' }
  /** A whole answer, of half of the bytes. */
  | { readonly type: 'short' }
  | { readonly type: 'flip' }
  /** A bit of the content is flipped on its way up. */
  | { readonly type: 'flipUp' }
  /** A piece of so many bytes every so many milliseconds. */
  | { readonly type: 'drip'; readonly bytes: number; readonly everyMs: number }
  /** Something that is no answer of S3. */
  | { readonly type: 'nonsense' };

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

/** A real S3 server, and between it and the tests a proxy that does what networks and servers do. */
export class S3Server {
  readonly asked: Asked[] = [];
  /** Asked about each request; its number counts from 0 since this was set. */
  fault: (asked: Asked, number: number) => Fault | undefined = () => undefined;
  readonly #server: S3rver;
  readonly #proxy: Server;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #hanging = new Set<IncomingMessage>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #number = 0;

  private constructor(server: S3rver, port: number) {
    this.#server = server;
    this.#port = port;
    this.#proxy = createServer((request, response) => {
      this.#pass(request, response).catch(() => response.destroy());
    });
  }

  static async start(directory: string): Promise<S3Server> {
    const server = new S3rver({
      address: '127.0.0.1',
      port: 0,
      silent: true,
      directory,
      vhostBuckets: false,
      configureBuckets: [{ name: bucket }],
    });
    makeAtomic(server);
    makeOrdered(server);
    makeTagged(server);
    const { port } = await server.run();
    const s3 = new S3Server(server, port);
    await new Promise<void>((resolve) => s3.#proxy.listen(0, '127.0.0.1', resolve));
    return s3;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}`;
  }

  /** `fault` from the next request on; none without it. */
  plan(fault: S3Server['fault'] = () => undefined): void {
    this.fault = fault;
    this.#number = 0;
    this.asked.length = 0;
  }

  /** How many requests hang. */
  get hanging(): number {
    return this.#hanging.size;
  }

  /** Cuts what hangs, as a server does that is started again. */
  release(): void {
    for (const request of this.#hanging) request.socket.resetAndDestroy();
    this.#hanging.clear();
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#proxy.closeAllConnections();
    await new Promise((resolve) => this.#proxy.close(resolve));
    this.#agent.destroy();
    await this.#server.close();
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x');
    const asked = { method: request.method ?? '', path: url.pathname, query: url.searchParams };
    this.asked.push(asked);
    const fault = this.fault(asked, this.#number);
    this.#number += 1;
    const content = await bytesOf(request);
    if (fault?.type === 'hang') return void this.#hanging.add(request);
    if (fault?.type === 'reset') return void request.socket.resetAndDestroy();
    if (fault?.type === 'nonsense')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi');
    if (fault?.type === 'answer') return refuse(response, fault.status, fault.code);
    if (fault?.type === 'flipUp') flip(content);
    // s3rver does not look at it, servers that people use do.
    const md5 = request.headers['content-md5'];
    if (md5 !== undefined && md5 !== createHash('md5').update(content).digest('base64'))
      return refuse(response, 400, 'BadDigest');
    if (asked.method === 'DELETE' && asked.query.has('uploadId')) return void response.writeHead(204).end();
    const answer = await this.#ask(request, content);
    if (fault?.type === 'resetAfter') return void request.socket.resetAndDestroy();
    await this.#answer(response, answer, fault);
  }

  async #answer(response: ServerResponse, answer: Answer, fault: Fault | undefined): Promise<void> {
    const { status, headers, body } = answer;
    const half = body.subarray(0, Math.floor(body.length / 2));
    switch (fault?.type) {
      case 'flip':
        flip(body);
        break;
      case 'short':
        response.writeHead(status, { ...headers, 'content-length': half.length }).end(half);
        return;
      case 'cut':
        response.writeHead(status, headers).write(half, () => response.socket?.resetAndDestroy());
        return;
      case 'hangInBody':
        response.writeHead(status, headers).write(half);
        return;
      case 'drip':
        response.writeHead(status, headers);
        this.#drip(response, body, fault.bytes, fault.everyMs);
        return;
      default:
        break;
    }
    response.writeHead(status, headers).end(body);
  }

  #drip(response: ServerResponse, body: Buffer, bytes: number, everyMs: number): void {
    if (body.length === 0 || response.destroyed) return void response.end();
    response.write(body.subarray(0, bytes));
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#drip(response, body.subarray(bytes), bytes, everyMs);
    }, everyMs);
    this.#timers.add(timer);
  }

  #ask(request: IncomingMessage, content: Buffer): Promise<Answer> {
    const { method, url: path, headers } = request;
    return new Promise((resolve, reject) => {
      const upstream = httpRequest(
        { host: '127.0.0.1', port: this.#port, method, path, headers, agent: this.#agent },
        (answer) => {
          bytesOf(answer).then(
            (body) => resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body }),
            reject,
          );
        },
      );
      upstream.on('error', reject);
      upstream.end(content);
    });
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function flip(bytes: Buffer): void {
  const at = Math.floor(bytes.length / 3);
  if (bytes.length > 0) bytes[at] = bytes[at]! ^ 0x10;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const secrets = '<AWSAccessKeyId>S3RVER</AWSAccessKeyId><StringToSign>top secret</StringToSign>';
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>top secret</Message>${secrets}</Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(text);
}

/** s3rver writes over an object that is being read; S3 never shows half of one. */
function makeAtomic({ store }: S3rver): void {
  const put = store.putObject.bind(store);
  let number = 0;
  store.putObject = async (object) => {
    number += 1;
    const { bucket: where, key } = object;
    const aside = `zz-being-written/${number}`;
    const stored = await put(Object.assign(object, { bucket: `${where}-aside`, key: aside }));
    for (const resource of ['object.md5', 'metadata.json', 'object']) {
      const path = store.getResourcePath(where, key, resource);
      await mkdir(dirname(path), { recursive: true });
      await rename(store.getResourcePath(`${where}-aside`, aside, resource), path);
    }
    return stored;
  };
}

/** s3rver lists in the order of its folders, and then goes on after a key that others come before. */
function makeOrdered({ store }: S3rver): void {
  const list = store.listObjects.bind(store);
  store.listObjects = async (where, { startAfter = '', maxKeys = 1000, ...options }) => {
    const { objects } = await list(where, options);
    const rest = objects.filter(({ key }) => key > startAfter).sort((a, b) => (a.key < b.key ? -1 : 1));
    return { objects: rest.slice(0, maxKeys), commonPrefixes: [], isTruncated: rest.length > maxKeys };
  };
}

/** The tag of what went up in parts is the MD5 of the parts' MD5s; s3rver's is that of the whole. */
function makeTagged({ store }: S3rver): void {
  const complete = store.putObjectMultipart.bind(store);
  store.putObjectMultipart = async (where, uploadId, parts) => {
    const upload = join(store.getResourcePath(where, undefined, 'uploads'), uploadId);
    const key = await readFile(join(upload, 'key'), 'utf8');
    const { size } = await complete(where, uploadId, parts);
    const digests = Buffer.from(parts.map(({ etag }) => etag).join(''), 'hex');
    const md5 = `${createHash('md5').update(digests).digest('hex')}-${parts.length}`;
    await writeFile(store.getResourcePath(where, key, 'object.md5'), md5);
    return { md5, size };
  };
}
