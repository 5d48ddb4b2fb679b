import type { Chance, Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';

/** How long, and how often, an S3 server is waited for. All in milliseconds but `attempts` and `bytesPerSecondMin`. */
export interface S3Limits {
  /** Until a connection stands. */
  readonly connectMs: number;
  /** Until the answer to a request without content begins. */
  readonly answerMs: number;
  /** For a whole request with content: one part. */
  readonly sendMs: number;
  /** Between two pieces of an object that is read. */
  readonly idleMs: number;
  /** The slowest that an object may come, over the whole of it and beyond `idleMs`. */
  readonly bytesPerSecondMin: number;
  /** Of one request, the first one included. */
  readonly attempts: number;
  /** Before the second attempt; doubles for each further one. By chance half of it to all of it. */
  readonly backoffMs: number;
}

export const s3Limits: S3Limits = {
  connectMs: 3000,
  answerMs: 10_000,
  sendMs: 60_000,
  idleMs: 10_000,
  bytesPerSecondMin: 16_384,
  attempts: 3,
  backoffMs: 200,
};

export interface S3CallsOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly limits: S3Limits;
  /** An attempt has failed and the next one follows. */
  readonly retried: () => void;
}

/**
 * Requests to S3 with a deadline each, a few attempts, and failures as KefuErrors. The SDK's own retries are switched off:
 * they know no deadline over all, and do not see what a body's checks find.
 */
export class S3Calls {
  readonly #options: S3CallsOptions;

  constructor(options: S3CallsOptions) {
    this.#options = options;
  }

  /** The answer to a request that may be repeated; `not_found` and `unavailable` otherwise. */
  async run<T>(deadlineMs: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { limits, chance, retried } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(deadlineMs, send);
      } catch (error) {
        if (attempt >= limits.attempts || !mayPass(error)) throw failureOf(error);
        retried();
        const waitMs = limits.backoffMs * 2 ** (attempt - 1);
        await this.#wait(waitMs * (0.5 + chance.next() / 2));
      }
    }
  }

  async #once<T>(deadlineMs: number, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_resolve, reject) => {
      cancel = this.#options.clock.after(deadlineMs, () => {
        reject(new SlowError(`no answer within ${deadlineMs} ms`));
        controller.abort();
      });
    });
    try {
      return await Promise.race([send(controller.signal), late]);
    } finally {
      cancel();
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(ms, resolve));
  }
}

class SlowError extends Error {
  override readonly name = 'TimeoutError';
}

/** The server got or gave other bytes than were meant. */
export class DifferentBytesError extends Error {
  override readonly name = 'DifferentBytesError';
}

interface Answered {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

function statusOf(error: unknown): number | undefined {
  return (error as Answered | null)?.$metadata?.httpStatusCode;
}

/** Whether the same request may succeed when it is sent again soon. */
function mayPass(error: unknown): boolean {
  if (error instanceof KefuError) return false;
  const status = statusOf(error);
  const { name } = error as Answered;
  if (name === 'CredentialsProviderError') return false;
  // BadDigest and its like: what arrived was not what was sent.
  if (name === 'BadDigest' || name === 'XAmzContentSHA256Mismatch' || name === 'RequestTimeout') return true;
  // An answer that can't be read has the status 200.
  return status === undefined || status < 400 || status === 408 || status === 429 || status >= 500;
}

export function isNotThere(error: unknown): boolean {
  const { name } = error as Answered;
  return statusOf(error) === 404 && (name === 'NoSuchKey' || name === 'NotFound');
}

export function isNoUpload(error: unknown): boolean {
  return error instanceof KefuError && (error.cause as Answered | undefined)?.name === 'NoSuchUpload';
}

export function isNoRange(error: unknown): boolean {
  return error instanceof KefuError && (error.cause as Answered | undefined)?.name === 'InvalidRange';
}

/**
 * A failure as the port has it. The SDK's error itself is no cause: some servers put what was signed, and with which key,
 * into its fields, and a log writes them all.
 */
function failureOf(error: unknown): KefuError {
  if (error instanceof KefuError) return error;
  if (isNotThere(error))
    return new KefuError('not_found', 'there is no such object', { cause: causeOf(error) });
  const cause = causeOf(error);
  return new KefuError('unavailable', `the object store failed (${cause.name})`, { cause });
}

export class S3Failure extends Error {
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly code: string | undefined;

  constructor(name: string, message: string, status?: number, requestId?: string, code?: string) {
    super(message);
    this.name = name;
    this.status = status;
    this.requestId = requestId;
    this.code = code;
  }
}

function causeOf(error: unknown): S3Failure {
  const { name, code, message, $metadata } = error as Answered;
  const word = (value: unknown): string | undefined =>
    typeof value === 'string' && /^[A-Za-z0-9_.:/+=-]{1,120}$/.test(value) ? value : undefined;
  const status = $metadata?.httpStatusCode;
  // An answer to HEAD has no body that would tell.
  const told = name === 'Unknown' || name === 'UnknownError' ? undefined : word(name);
  const known = word(code) ?? told ?? (status === undefined ? 'unknown' : `HTTP ${status}`);
  // What the server itself says may repeat the request with its signature.
  const text =
    status === undefined
      ? String(message).slice(0, 300)
      : `the server answered ${status} ${word(name) ?? ''}`.trim();
  return new S3Failure(known, text, status, word($metadata?.requestId), word(code));
}
