import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { isIP } from 'node:net';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Node } from './target.ts';

/** A request and its answer; connections are kept, one set for each source address. */
export interface Answer {
  readonly status: number;
  // A body of the API: who asked knows its shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
  readonly retryAfterMs: number | undefined;
}

const timeoutMs = 30_000;
const bodyMax = 16 * 2 ** 20;
/** Open longer than the server keeps an idle one, a connection would be cut just as it is used. */
const keepMs = 4000;
const options = { keepAlive: true, maxSockets: 16, maxTotalSockets: 1024, timeout: keepMs };
const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) };

/** Rejects when there is no answer. */
export function ask(
  node: Node,
  method: 'GET' | 'POST',
  path: string,
  { token, body, localAddress }: { token?: string; body?: object; localAddress?: string | undefined } = {},
): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const { host, name, port } = node;
  const shownName = isIP(name) === 6 ? `[${name}]` : name;
  const headers: Record<string, string | number> = { host: `${shownName}:${port}` };
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (text !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = Buffer.byteLength(text);
  }
  const where = {
    host,
    port,
    method,
    path,
    headers,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    agent: node.isTls ? agents.https : agents.http,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  return new Promise((resolve, reject) => {
    const request = (node.isTls ? httpsRequest : httpRequest)(where, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bodyMax) request.destroy(new Error(`${path}: an answer of more than ${bodyMax} bytes`));
        chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const seconds = Number(response.headers['retry-after']);
        resolve({
          status: response.statusCode ?? 0,
          body: parsed(Buffer.concat(chunks).toString()),
          retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
        });
      });
    });
    request.setTimeout(timeoutMs, () => request.destroy(new Error(`${path}: no answer in ${timeoutMs} ms`)));
    request.on('error', reject);
    request.end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Metrics are no JSON.
    return text;
  }
}

export function isRefused({ status }: Answer): boolean {
  return status === 429 || status === 503;
}
