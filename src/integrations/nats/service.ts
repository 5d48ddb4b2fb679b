import type { NatsConnection } from '@nats-io/nats-core';
import type { Clock } from '../../core/clock.ts';
import { MicroService, type MicroAnswer } from './micro-service.ts';
import { natsNames } from './names.ts';

export const sessionRequests = ['get', 'list', 'say', 'close', 'transfer'] as const;

export interface ServiceOptions {
  readonly client: NatsConnection;
  readonly clock: Clock;
  readonly cluster: string;
  /** kefu's, as a semantic version. */
  readonly version: string;
  /**
   * Does a request as the HTTP API would. `authorization` is the header, '' without one. A body of status 400 and above
   * is `{"error":{"code","message"}}`. Undefined: the outcome is unknown, and nothing is answered.
   */
  readonly handle: (
    name: string,
    authorization: string,
    body: Uint8Array,
  ) => Promise<{ readonly status: number; readonly body: object } | undefined>;
  readonly log: (level: 'info' | 'warn', text: string, error?: unknown) => void;
  /** Requests at work at once; above it `busy`. Default 256. */
  readonly atWorkMax?: number;
}

const atWorkDefault = 256;
const busyRetryMs = 250;

/**
 * Starts this worker's instance of the micro service `kefu`: `kefu.api.sessions.get|list|say|close|transfer`. All
 * workers of all nodes share the requests, each of which goes to one of them.
 */
export function startService(options: ServiceOptions): MicroService {
  const { client, clock, cluster, version, log } = options;
  const { sessions } = natsNames(cluster);
  const atWorkMax = options.atWorkMax ?? atWorkDefault;
  const service = new MicroService({
    client,
    clock,
    version,
    name: 'kefu',
    description: 'kefu: sessions of customer service; see docs/nats.md',
    metadata: { cluster },
    endpoints: sessionRequests.map((name) => ({
      name,
      subject: `${sessions}.${name}`,
      handle: ({ data, header }) =>
        service.atWork > atWorkMax
          ? Promise.resolve(busy)
          : answer(options, name, header('authorization'), data),
    })),
    failed: (subject, error) => log('warn', `can’t listen to ${subject} of NATS; it is tried again`, error),
  });
  service.start();
  return service;
}

const busy = errorAnswer(503, {
  code: 'busy',
  message: 'too many requests are at work; try again',
  retry_after_ms: busyRetryMs,
});

async function answer(
  { handle, log }: ServiceOptions,
  name: string,
  authorization: string,
  data: Uint8Array,
): Promise<MicroAnswer | undefined> {
  try {
    const answered = await handle(name, authorization, data);
    if (answered === undefined) return undefined;
    const { status, body } = answered;
    if (status < 400) return { status, body: JSON.stringify(body) };
    return errorAnswer(status, (body as { error: ErrorBody }).error);
  } catch (error) {
    log('warn', `the request ${name} over NATS failed`, error);
    return errorAnswer(500, {
      code: 'internal',
      message: 'something went wrong on the server; it was logged',
    });
  }
}

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms?: number;
}

function errorAnswer(status: number, error: ErrorBody): MicroAnswer {
  return { status, message: error.message, body: JSON.stringify({ error }) };
}
