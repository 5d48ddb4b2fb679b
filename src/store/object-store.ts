import type { Readable } from 'node:stream';
import { KefuError } from '../core/errors.ts';

/**
 * The port to object storage: uploads and archived sessions. Objects are written whole and never changed in place:
 * a reader sees the old one or the new one. When `put` has ended, the object outlives a power cut.
 *
 * Failures are KefuErrors: `bad_request` for a key or range that can't be, `not_found`, `too_large`, and
 * `unavailable` for all that may be tried again, with its `cause`.
 */
export interface ObjectStore {
  /**
   * Stores the whole content under `key`, in place of what was there. Beyond `maxBytes` it stops reading, keeps
   * nothing and throws `too_large`. An error of the content itself is thrown as it is.
   */
  put(key: string, content: ObjectContent, options: { readonly maxBytes: number }): Promise<StoredObject>;
  /** `range` is cut at the object's end. The stream must be read to its end or destroyed. */
  get(key: string, range?: ObjectRange): Promise<ObjectRead>;
  /** Undefined where there is no such object. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /** Deleting what isn't there is no error. */
  delete(key: string): Promise<void>;
  /** All objects whose key begins with `prefix`, in no particular order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
}

export type ObjectContent = Uint8Array | AsyncIterable<Uint8Array>;

export interface StoredObject {
  /** Bytes. */
  readonly size: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface ObjectRange {
  readonly offset: number;
  readonly length: number;
}

export interface ObjectRead {
  /** Bytes of the whole object, whatever the range. */
  readonly size: number;
  readonly stream: Readable;
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly modifiedAtMs: number;
}

/** What every adapter can hold: S3's 1,024 bytes do not fit a file's name. */
export const objectKeyCharsMax = 200;
const keyPattern = /^[a-z0-9][a-z0-9/_.-]*$/;

export function checkObjectKey(key: string): void {
  const isKey = keyPattern.test(key) && !key.includes('..') && key.length <= objectKeyCharsMax;
  if (!isKey)
    throw new KefuError(
      'bad_request',
      'an object key must be 1 to 200 of a-z, 0-9, /, _, . and -, without ..',
    );
}

export function checkObjectRange(range: ObjectRange): void {
  const { offset, length } = range;
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) return;
  throw new KefuError('bad_request', 'a range must have an offset and a length of at least 0');
}

export function objectNotFound(key: string): KefuError {
  return new KefuError('not_found', `there is no object ${key}`);
}
