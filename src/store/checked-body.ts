import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import { DifferentBytesError, S3Failure, type S3Limits } from './s3-calls.ts';

export interface BodyPromise {
  /** Bytes that must come, no more and no less. */
  readonly bytes: number;
  /** Of all of them, in hexadecimal, where it is known. */
  readonly sha256: string | undefined;
}

/**
 * An answer's body that ends only when it is whole: the last piece is held back until the length and the checksum are
 * right. Fails with `unavailable`. Only time in which the server is waited for counts: a slow reader is its own affair.
 */
export function checkedBody(
  body: Readable,
  promise: BodyPromise,
  limits: Pick<S3Limits, 'idleMs' | 'bytesPerSecondMin'>,
  clock: Clock,
): Readable {
  const checked = Readable.from(checkedPieces(body, promise, limits, clock), { objectMode: false });
  // A reader that leaves before it has begun never starts the generator; the connection must go back all the same.
  checked.once('close', () => body.destroy());
  body.on('error', () => undefined);
  return checked;
}

async function* checkedPieces(
  body: Readable,
  { bytes, sha256 }: BodyPromise,
  limits: Pick<S3Limits, 'idleMs' | 'bytesPerSecondMin'>,
  clock: Clock,
): AsyncGenerator<Uint8Array> {
  const hash = sha256 === undefined ? undefined : createHash('sha256');
  const wholeMs = limits.idleMs + (bytes / limits.bytesPerSecondMin) * 1000;
  const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  let left = bytes;
  let waitedMs = 0;
  let held: Uint8Array | undefined;
  try {
    for (;;) {
      const began = clock.nowMs();
      const next = await within(iterator.next(), Math.min(limits.idleMs, wholeMs - waitedMs), clock);
      waitedMs += clock.nowMs() - began;
      if (next.done === true) break;
      left -= next.value.length;
      if (left < 0) throw new DifferentBytesError('more bytes came than the object has');
      hash?.update(next.value);
      if (held !== undefined) yield held;
      held = next.value;
    }
    if (left > 0) throw new DifferentBytesError(`the last ${left} bytes of ${bytes} did not come`);
    if (hash !== undefined && hash.digest('hex') !== sha256)
      throw new DifferentBytesError('the bytes that came are not those that were stored');
  } catch (error) {
    body.destroy();
    const { name, code, message } = error as NodeJS.ErrnoException;
    const cause = new S3Failure(code ?? name, message);
    throw new KefuError('unavailable', `the object store broke off (${cause.name})`, { cause });
  }
  if (held !== undefined) yield held;
}

async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T> {
  let cancel: () => void = () => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(Math.max(ms, 1), () =>
      reject(new S3Failure('TimeoutError', 'the rest did not come in time')),
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
