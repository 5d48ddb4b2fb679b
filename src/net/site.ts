import { AggregatorRegistry } from 'prom-client';
import type { ThreadId } from '../actors/engine/types.ts';
import { gatewayKind } from '../actors/messages.ts';
import { KefuError } from '../core/errors.ts';
import { handleApi, type ApiOptions } from './api.ts';
import { clusterMetrics } from './cluster-metrics.ts';
import type { SharedLimits } from './connection-counter.ts';
import { errorResponse, type Handler, type HttpRequest, type HttpResponse } from './http-server.ts';
import type { HeaderList, StaticFiles } from './static-files.ts';

export interface SiteOptions {
  readonly api: ApiOptions;
  readonly shared: SharedLimits;
  readonly pages: StaticFiles;
  readonly threads: readonly ThreadId[];
  /** Origins that may call the API from a browser; `*` for all. */
  readonly origins: readonly string[];
  readonly metricsOpen: boolean;
  /** Whether commits go through. */
  readonly ready: () => Promise<boolean>;
  readonly countByState: () => Promise<Map<string, number>>;
  readonly rejected: (code: string) => void;
  /** For the crash tests only. */
  readonly crash: (() => void) | undefined;
  readonly worker: number;
}

const metricsAskMs = 2000;

/** Everything that is not a WebSocket: health, metrics, the API, and the pages. */
export function siteHandler(options: SiteOptions): Handler {
  return async (request) => {
    const plain = openRoute(options, request);
    if (plain !== undefined) return plain;
    if (!request.path.startsWith('/v1/')) return page(options, request);
    const cors = corsHeaders(options.origins, request.header('origin'));
    if (request.method === 'options') return { status: 204, headers: [...cors, ...preflight] };
    const waitMs = options.shared.takeRequest(request.limitKey, options.api.clock.nowMs());
    let response: HttpResponse;
    try {
      if (waitMs > 0)
        throw new KefuError('rate_limited', 'too many requests from this address', { retryAfterMs: waitMs });
      response = await handleApi(options.api, request);
    } catch (error) {
      if (!(error instanceof KefuError) || error.name === 'OutcomeUnknownError') throw error;
      options.rejected(error.code);
      const { code, message, retryAfterMs } = error;
      response = errorResponse(
        retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs },
      );
    }
    const headers = [...cors, noStore, ...(response.headers ?? [])];
    return {
      ...response,
      headers: response.stream === undefined ? headers : [...cors, ...(response.headers ?? [])],
    };
  };
}

const noStore = ['cache-control', 'no-store'] as const;
const preflight: HeaderList = [
  ['access-control-allow-methods', 'GET, POST, PUT, DELETE, OPTIONS'],
  ['access-control-allow-headers', 'authorization, content-type'],
  ['access-control-max-age', '86400'],
];

function corsHeaders(origins: readonly string[], origin: string): HeaderList {
  if (origin === '') return [];
  if (origins.includes('*')) return [['access-control-allow-origin', '*']];
  const vary = ['vary', 'origin'] as const;
  return origins.includes(origin) ? [['access-control-allow-origin', origin], vary] : [vary];
}

function openRoute(
  options: SiteOptions,
  request: HttpRequest,
): Promise<HttpResponse> | HttpResponse | undefined {
  switch (request.path) {
    case '/healthz':
      return { status: 200, body: { status: 'ok' } };
    case '/readyz':
      return readiness(options);
    case '/metrics':
      if (request.isLoopback || options.metricsOpen) return metricsPage(options);
      return errorResponse({ code: 'forbidden', message: 'metrics are open on loopback; see metrics.open' });
    case '/v1/cluster':
      // Who comes with a token is judged by it, with everybody else's in api.ts.
      if (request.header('authorization') !== '' || !(request.isLoopback || options.metricsOpen))
        return undefined;
      return options.api.cluster().then((report) => ({ status: 200, body: report }));
    case '/v1/test/crash-worker':
      if (options.crash === undefined || !request.isLoopback || request.method !== 'post') return undefined;
      if (request.query.get('worker') !== null && Number(request.query.get('worker')) !== options.worker)
        return { status: 409, body: { worker: options.worker } };
      options.crash();
      return { status: 202, body: { worker: options.worker } };
    default:
      return undefined;
  }
}

async function readiness(options: SiteOptions): Promise<HttpResponse> {
  if (await options.ready()) return { status: 200, body: { status: 'ready' } };
  return errorResponse({ code: 'unavailable', message: 'the database can’t be reached', retryAfterMs: 1000 });
}

async function metricsPage(options: SiteOptions): Promise<HttpResponse> {
  const { system } = options.api;
  const answers = await Promise.allSettled(
    options.threads.map((thread) =>
      system.ref(gatewayKind, thread).ask<object[]>({ type: 'metrics' }, metricsAskMs),
    ),
  );
  const found = answers.filter((answer) => answer.status === 'fulfilled').map((answer) => answer.value);
  const text = await AggregatorRegistry.aggregate(found).metrics();
  const counts = await options.countByState().catch(() => new Map<string, number>());
  const lines = ['waiting', 'chatting', 'transferring'].map(
    (state) => `kefu_sessions{state="${state}"} ${counts.get(state) ?? 0}`,
  );
  const states = `# HELP kefu_sessions Open sessions by state\n# TYPE kefu_sessions gauge\n${lines.join('\n')}\n`;
  return {
    status: 200,
    headers: [['content-type', 'text/plain; version=0.0.4; charset=utf-8']],
    body: text + states + clusterMetrics(await options.api.cluster()),
  };
}

function page(options: SiteOptions, request: HttpRequest): HttpResponse {
  if (request.method !== 'get' && request.method !== 'head')
    return { status: 405, body: { error: { code: 'bad_request', message: `no ${request.method} here` } } };
  const found = options.pages.respond(
    request.path,
    request.header('accept-encoding'),
    request.header('if-none-match'),
  );
  if (found === undefined) return errorResponse({ code: 'not_found', message: 'there is no such page' });
  return { status: found.status, headers: found.headers, body: found.body };
}
