/**
 * The kinds of failure that cross a boundary. A *bug* is an assertion: the actor crashes and its supervisor
 * decides. A *refusal* is a value that rules return: nothing changed. *Unavailable* can be retried. Nobody
 * matches on a message's text: `code` says what happened.
 */
export const errorCodes = [
  'unauthorized',
  'forbidden',
  'not_found',
  'bad_request',
  'bad_frame',
  'too_large',
  'invalid_transition',
  'not_participant',
  'rate_limited',
  'busy',
  'unavailable',
  'conflict',
  'superseded',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What a request that changed nothing is answered with: plain data, so that it crosses threads and nodes. */
export interface Refusal {
  readonly code: ErrorCode;
  /** A sentence for a developer: what was wrong and how to mend it; never holds a message's text. */
  readonly message: string;
  readonly retryAfterMs?: number;
}

export function refusal(code: ErrorCode, message: string, retryAfterMs?: number): Refusal {
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}

/** A refusal where only an exception can carry it: out of a promise. */
export class KefuError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { retryAfterMs?: number; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KefuError';
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  static from(value: Refusal): KefuError {
    return new KefuError(
      value.code,
      value.message,
      value.retryAfterMs === undefined ? {} : { retryAfterMs: value.retryAfterMs },
    );
  }
}

/** No answer in time: the request may have happened. It is never answered with an error; the client asks again. */
export class OutcomeUnknownError extends KefuError {
  constructor(message: string) {
    super('unavailable', message);
    this.name = 'OutcomeUnknownError';
  }
}

export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknownError;
}

/** Any thrown value as a refusal; what isn't ours is a bug and tells the client nothing about itself. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof KefuError) return refusal(error.code, error.message, error.retryAfterMs);
  return refusal('internal', 'something went wrong on the server; it has been logged');
}

/** A broken invariant is a bug: it is thrown where it is seen, and the actor's supervisor decides. */
export class BugError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BugError';
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}
