import type * as uWS from 'uWebSockets.js';
import {
  KefuError,
  toRefusal,
  isOutcomeUnknown,
  refusal,
  type ErrorCode,
  type Refusal,
} from '../core/errors.ts';
import { limitKeyOfAddress, limitKeyOfText } from './limit-key.ts';
import type { HeaderList } from './static-files.ts';

/**
 * HTTP over uWebSockets.js: what a route gets and gives. A uWS request is only valid until the first await, and a
 * response is gone once its peer is: both are copied, or guarded, here and nowhere else.
 */
export interface HttpRequest {
  readonly method: string;
  /** Decoded segments of the path. */
  readonly path: string;
  readonly query: URLSearchParams;
  header(name: string): string;
  /** The address that limits are counted under. */
  readonly limitKey: string;
  readonly isLoopback: boolean;
  /** The whole body, at most `maxBytes`; rejects with `too_large`. */
  body(maxBytes: number): Promise<Uint8Array>;
  /** The body as it comes, for what should not be held in memory as a whole. */
  stream(maxBytes: number): AsyncIterable<Uint8Array>;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: HeaderList;
  /** An object is sent as JSON. */
  readonly body?: string | Uint8Array | object;
  /** Sent in pieces as the peer takes them; in chunks, where the size is not known before its end. */
  readonly stream?: { readonly size?: number; readonly source: AsyncIterable<Uint8Array> };
}

export type Handler = (request: HttpRequest) => Promise<HttpResponse> | HttpResponse;

const statusText: Readonly<Record<number, string>> = {
  200: '200 OK',
  201: '201 Created',
  202: '202 Accepted',
  204: '204 No Content',
  304: '304 Not Modified',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  403: '403 Forbidden',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  409: '409 Conflict',
  413: '413 Payload Too Large',
  429: '429 Too Many Requests',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

const statusOf: Readonly<Record<ErrorCode, number>> = {
  unauthorized: 401,
  forbidden: 403,
  not_participant: 403,
  not_found: 404,
  bad_request: 400,
  bad_frame: 400,
  too_large: 413,
  invalid_transition: 409,
  conflict: 409,
  superseded: 409,
  rate_limited: 429,
  busy: 503,
  unavailable: 503,
  internal: 500,
};

/** A refusal as the contract's error body, with `Retry-After` where it may be tried again. */
export function errorResponse(why: Refusal, status = statusOf[why.code]): HttpResponse {
  const { code, message, retryAfterMs } = why;
  const error =
    retryAfterMs === undefined ? { code, message } : { code, message, retry_after_ms: retryAfterMs };
  const mayRetry = status === 429 || status === 503;
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? 1000) / 1000));
  return { status, body: { error }, ...(mayRetry ? { headers: [['retry-after', String(seconds)]] } : {}) };
}

/** Headers that a route may ask for: they must be copied while the request is valid. */
const headerNames = [
  'authorization',
  'content-type',
  'content-length',
  'accept-encoding',
  'if-none-match',
  'origin',
  'access-control-request-method',
  'host',
] as const;

/** Serves every path of `app` by `handle`, which sees only whole, copied requests. */
export function serve(
  app: uWS.TemplatedApp,
  options: { readonly trustProxy: boolean; readonly failed: (error: unknown, path: string) => void },
  handle: Handler,
): void {
  app.any('/*', (response, uwsRequest) => {
    const exchange = new Exchange(response);
    const request = copyRequest(response, uwsRequest, exchange, options.trustProxy);
    void answer(exchange, request, handle, options.failed);
  });
}

async function answer(
  exchange: Exchange,
  request: HttpRequest,
  handle: Handler,
  failed: (error: unknown, path: string) => void,
): Promise<void> {
  let response: HttpResponse;
  try {
    response = await handle(request);
  } catch (error) {
    // What may have happened is not answered: the client asks again with the same id.
    if (isOutcomeUnknown(error) && request.method !== 'get') return exchange.abort();
    if (!(error instanceof KefuError)) failed(error, request.path);
    response = errorResponse(toRefusal(error));
  }
  await exchange.send(response, request.method === 'head');
}

/** One request's response: writes only while the peer is there. */
class Exchange {
  readonly #response: uWS.HttpResponse;
  gone = false;
  bodyEnded = false;
  onGone: (() => void) | undefined;

  constructor(response: uWS.HttpResponse) {
    this.#response = response;
    response.onAborted(() => {
      this.gone = true;
      this.onGone?.();
    });
  }

  abort(): void {
    if (!this.gone) this.#response.close();
    this.gone = true;
  }

  async send(response: HttpResponse, headOnly: boolean): Promise<void> {
    if (this.gone) return;
    if (response.stream !== undefined && !headOnly) return this.#sendStream(response, response.stream);
    const { body } = response;
    const isRaw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const data = isRaw ? (body ?? '') : JSON.stringify(body);
    this.#response.cork(() => {
      this.#head(response, !isRaw);
      // What was sent ahead of reading the body would be taken for the next request: the connection ends instead.
      if (response.status >= 400 && !this.bodyEnded) this.#response.end(data, true);
      else if (response.status === 304 || response.status === 204) this.#response.endWithoutBody();
      else if (headOnly) this.#response.endWithoutBody(Buffer.byteLength(data));
      else this.#response.end(data);
    });
    this.gone = true;
  }

  #head(response: HttpResponse, isJson: boolean): void {
    this.#response.writeStatus(statusText[response.status] ?? String(response.status));
    for (const [name, value] of response.headers ?? []) this.#response.writeHeader(name, value);
    if (isJson) this.#response.writeHeader('content-type', 'application/json; charset=utf-8');
  }

  async #sendStream(
    head: HttpResponse,
    { size, source }: NonNullable<HttpResponse['stream']>,
  ): Promise<void> {
    const response = this.#response;
    response.cork(() => this.#head(head, false));
    try {
      for await (const chunk of source) {
        if (this.gone) return;
        if (size === undefined) await this.#writePiece(chunk);
        else await this.#writeChunk(chunk, size);
      }
      if (size !== undefined || this.gone) return;
      response.cork(() => response.end());
      this.gone = true;
    } catch {
      this.abort();
    }
  }

  /** The same for a response whose size is not known. */
  #writePiece(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return Promise.resolve();
    const response = this.#response;
    return new Promise((resolve) => {
      this.onGone = resolve;
      let sent = false;
      response.cork(() => {
        sent = response.write(chunk);
      });
      if (sent) return resolve();
      response.onWritable(() => {
        resolve();
        return true;
      });
    });
  }

  /** Writes a piece and waits until the peer has taken it: at most one piece a response is held. */
  #writeChunk(chunk: Uint8Array, size: number): Promise<void> {
    const response = this.#response;
    return new Promise((resolve) => {
      this.onGone = resolve;
      const start = response.getWriteOffset();
      let sent = false;
      response.cork(() => {
        const [ok, done] = response.tryEnd(chunk, size);
        if (done) this.gone = true;
        sent = ok || done;
      });
      if (sent) return resolve();
      response.onWritable((offset) => {
        const [ok, done] = response.tryEnd(chunk.subarray(offset - start), size);
        if (done) this.gone = true;
        if (ok || done) resolve();
        return ok;
      });
    });
  }
}

function copyRequest(
  response: uWS.HttpResponse,
  request: uWS.HttpRequest,
  exchange: Exchange,
  trustProxy: boolean,
): HttpRequest {
  const headers = new Map<string, string>();
  for (const name of headerNames) headers.set(name, request.getHeader(name));
  const incoming = new IncomingBody(response, exchange);
  const limitKey = addressKey(response, request, trustProxy);
  return {
    method: request.getMethod(),
    path: request.getUrl(),
    query: new URLSearchParams(request.getQuery() ?? ''),
    header: (name) => headers.get(name) ?? '',
    limitKey,
    isLoopback: limitKey.startsWith('127.') || limitKey.startsWith('0:0:0:0'),
    body: (maxBytes) => incoming.whole(maxBytes),
    stream: (maxBytes) => incoming.pieces(maxBytes),
  };
}

/** A body's pieces; paused while more than a little waits to be taken, so that it never fills memory. */
class IncomingBody {
  readonly #response: uWS.HttpResponse;
  readonly #exchange: Exchange;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #wake: (() => void) | undefined;

  constructor(response: uWS.HttpResponse, exchange: Exchange) {
    this.#response = response;
    this.#exchange = exchange;
    exchange.onGone = () => this.#wake?.();
    response.onData((piece, isLast) => {
      // The memory is uWebSockets.js's own after this callback.
      if (piece.byteLength > 0) this.#pieces.push(new Uint8Array(piece.slice(0)));
      this.#bytes += piece.byteLength;
      if (isLast) exchange.bodyEnded = true;
      else if (this.#bytes > bodyAheadBytes && !this.#paused) {
        this.#paused = true;
        response.pause();
      }
      this.#wake?.();
    });
  }

  async *pieces(maxBytes: number): AsyncIterable<Uint8Array> {
    let total = 0;
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#bytes -= piece.length;
        total += piece.length;
        if (maxBytes > 0 && total > maxBytes)
          throw new KefuError('too_large', `the body may have at most ${maxBytes} bytes`);
        yield piece;
        continue;
      }
      if (this.#exchange.bodyEnded) return;
      if (this.#exchange.gone) throw new KefuError('bad_request', 'the body ended early');
      if (this.#paused) {
        this.#paused = false;
        this.#response.resume();
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  async whole(maxBytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.pieces(maxBytes)) pieces.push(piece);
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}

/** Bytes of a body that are read before anybody takes them. */
const bodyAheadBytes = 256 * 1024;

/** What an address is counted under; behind a trusted proxy the last hop that it names. */
export function addressKey(
  response: uWS.HttpResponse,
  request: uWS.HttpRequest,
  trustProxy: boolean,
): string {
  if (trustProxy) {
    const last = request.getHeader('x-forwarded-for').split(',').at(-1);
    const named = last === undefined ? undefined : limitKeyOfText(last);
    if (named !== undefined) return named;
  }
  return limitKeyOfAddress(response.getRemoteAddress());
}

export function parseJson(body: Uint8Array): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch {
    throw KefuError.from(refusal('bad_request', 'the body is not valid JSON in UTF-8'));
  }
}
