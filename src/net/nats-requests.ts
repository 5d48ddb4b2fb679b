import type { Clock } from '../core/clock.ts';
import { isOutcomeUnknown, KefuError, toRefusal } from '../core/errors.ts';
import { isId } from '../core/ids.ts';
import { timeText } from '../protocol/session-view.ts';
import type { Actor } from '../rules/session.ts';
import { parseMessageBody } from './bodies-in.ts';
import { bad, fieldsOf, type Fields } from './fields.ts';
import { messageIdOf } from './frames-in.ts';
import { errorResponse, parseJson } from './http-server.ts';
import type { Requests } from './requests.ts';
import { parseClose, parseTransfer } from './requests-in.ts';
import { sessionPage, type SessionLister } from './session-page.ts';
import type { TokenBuckets } from './token-bucket.ts';
import type { Tokens } from './tokens.ts';

export interface NatsRequestsOptions {
  readonly requests: Pick<Requests, 'who' | 'view' | 'say' | 'close' | 'transfer'>;
  readonly tokens: Pick<Tokens, 'verify'>;
  readonly store: SessionLister;
  readonly clock: Clock;
  /** Of a request's JSON. */
  readonly bodyBytes: number;
  /** By the id of whom the token stands for: behind NATS there are no addresses. */
  readonly buckets: TokenBuckets;
  /** What is no KefuError is a bug. */
  readonly failed: (error: unknown, name: string) => void;
}

/** As HTTP would answer it. */
export interface NatsAnswer {
  readonly status: number;
  readonly body: object;
}

type Call = (options: NatsRequestsOptions, who: Actor, input: Fields) => Promise<object>;

const calls = new Map<string, Call>(
  Object.entries({
    get: ({ requests }, who, input) => requests.view(who, sessionOf(input)),
    list: ({ store }, who, input) => sessionPage(store, who, queryOf(input)),
    say: async ({ requests }, who, input) => {
      const body = parseMessageBody(input['body']);
      const said = await requests.say(who, sessionOf(input), messageIdOf(input['id']), body);
      return { seq: said.seq, at: timeText(said.at), ...(said.repeat ? { repeat: true } : {}) };
    },
    close: ({ requests }, who, input) => {
      const { reason } = parseClose(input);
      return requests.close(who, sessionOf(input), reason);
    },
    transfer: ({ requests }, who, input) => {
      const { to, note } = parseTransfer(input);
      return requests.transfer(who, sessionOf(input), to, note);
    },
  } satisfies Record<string, Call>),
);

/**
 * What the requests over NATS do: those of the HTTP API, by the same rules and with the same errors. `authorization` is
 * the header of that name, '' without one. Undefined: the outcome is unknown and nothing is answered, since any answer
 * might be wrong; the caller asks again, for `say` with the same id.
 */
export function natsRequests(
  options: NatsRequestsOptions,
): (name: string, authorization: string, body: Uint8Array) => Promise<NatsAnswer | undefined> {
  return async (name, authorization, body) => {
    try {
      const call = calls.get(name);
      if (call === undefined) throw new KefuError('not_found', 'there is no such request: see docs/nats.md');
      const who = await authenticate(options, authorization);
      if (body.length > options.bodyBytes)
        throw new KefuError('too_large', `a request may have ${options.bodyBytes} bytes`);
      const input = fieldsOf(body.length === 0 ? {} : parseJson(body), 'the request');
      return { status: 200, body: await call(options, who, input) };
    } catch (error) {
      const isRead = name === 'get' || name === 'list';
      if (isOutcomeUnknown(error) && !isRead) return undefined;
      if (!(error instanceof KefuError)) options.failed(error, name);
      const { status, body: why } = errorResponse(toRefusal(error));
      return { status, body: why as object };
    }
  };
}

async function authenticate(options: NatsRequestsOptions, authorization: string): Promise<Actor> {
  const token = /^Bearer ([^\s]+)$/i.exec(authorization)?.[1];
  const verified = token === undefined ? undefined : await options.tokens.verify(token);
  if (verified === undefined)
    throw new KefuError(
      'unauthorized',
      'send the header Authorization: Bearer TOKEN, from POST /v1/visitors or /v1/login',
    );
  const waitMs = options.buckets.take(verified.identity.id, options.clock.nowMs());
  if (waitMs > 0)
    throw new KefuError('rate_limited', 'too many requests with this token', { retryAfterMs: waitMs });
  return options.requests.who(verified.identity);
}

function sessionOf(input: Fields): string {
  const { session } = input;
  if (session === undefined) throw bad('session', 'the id of a session');
  if (!isId(session)) throw new KefuError('not_found', 'there is nothing of that id');
  return session;
}

/** The list's filters come as in a query; `null` and an empty text are none. */
function queryOf(input: Fields): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ['state', 'agent', 'customer', 'group', 'q', 'limit', 'cursor']) {
    const value = input[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string' && typeof value !== 'number') throw bad(name, 'a string or a number');
    query.set(name, String(value));
  }
  return query;
}
