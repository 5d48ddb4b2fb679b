import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type GetObjectCommandOutput,
  type HeadObjectCommandOutput,
  type PutObjectCommandOutput,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Chance, Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import type { ObjectsLocation } from '../core/objects-url.ts';
import { checkedBody } from './checked-body.ts';
import { checkObjectKey, checkObjectRange, objectNotFound } from './object-store.ts';
import type {
  ObjectContent,
  ObjectInfo,
  ObjectRange,
  ObjectRead,
  ObjectStore,
  StoredObject,
} from './object-store.ts';
import { DifferentBytesError, isNoRange, isNoUpload, S3Calls, s3Limits, type S3Limits } from './s3-calls.ts';

/**
 * Objects in a bucket of S3 or of what speaks like it. Content up to `partBytes` is one PUT; more goes up in parts, one of
 * which is in memory. Every request carries the MD5 of its content, which servers of all ages check; the SHA-256 is kept
 * with the object where it is known before the upload begins, and then checked by every read of the whole object. A range,
 * and an object that came as a stream of several parts, are checked by their length alone: the archive's sessions have
 * checksums of their own.
 *
 * An upload in parts that a crash left behind is nobody's: the bucket should have a rule that aborts those after a day
 * (docs/operations.md).
 */
export interface S3StoreOptions {
  readonly location: Extract<ObjectsLocation, { kind: 's3' }>;
  readonly clock: Clock;
  readonly chance: Chance;
  /** An attempt has failed and the next one follows. */
  readonly retried?: () => void;
  readonly limits?: Partial<S3Limits>;
  /** Bytes; S3 takes 5 MiB or more. */
  readonly partBytes?: number;
  /** Objects that `list` asks for at once; S3 gives 1000 at most. */
  readonly pageObjects?: number;
}

/** S3's own limit. */
const partsMax = 10_000;
const sha256Name = 'sha256';
/** More requests wait for a free connection. */
const connectionsMax = 64;

/** Asks nobody yet: a bucket that can't be reached is `unavailable` at each use. */
export function openS3Store(options: S3StoreOptions): ObjectStore & { close(): void } {
  return new S3Store(options);
}

class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #calls: S3Calls;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #limits: S3Limits;
  readonly #clock: Clock;
  readonly #partBytes: number;
  readonly #pageObjects: number;

  constructor({ location, clock, chance, retried, limits, partBytes, pageObjects }: S3StoreOptions) {
    this.#bucket = location.bucket;
    this.#prefix = location.prefix;
    this.#limits = { ...s3Limits, ...limits };
    this.#clock = clock;
    this.#partBytes = partBytes ?? 8 * 2 ** 20;
    this.#pageObjects = pageObjects ?? 1000;
    this.#calls = new S3Calls({ clock, chance, limits: this.#limits, retried: retried ?? (() => undefined) });
    this.#client = clientOf(location, this.#limits);
  }

  close(): void {
    this.#client.destroy();
  }

  async put(
    key: string,
    content: ObjectContent,
    options: { readonly maxBytes: number },
  ): Promise<StoredObject> {
    const target = this.#target(key);
    const hash = createHash('sha256');
    const known =
      content instanceof Uint8Array ? createHash('sha256').update(content).digest('hex') : undefined;
    let upload: Upload | undefined;
    let size = 0;
    try {
      for await (const part of partsOf(content, this.#partBytes, options.maxBytes, hash)) {
        size += part.bytes.length;
        if (part.isLast && upload === undefined) {
          const sha256 = hash.digest('hex');
          await this.#putWhole(target, part.bytes, sha256);
          return { size, sha256 };
        }
        upload ??= await this.#beginUpload(target, known);
        await this.#putPart(upload, part.bytes);
      }
      await this.#endUpload(upload!);
      return { size, sha256: hash.digest('hex') };
    } catch (error) {
      // Best effort: what stays costs space until the bucket's rule takes it.
      if (upload !== undefined) await this.#abortUpload(upload).catch(() => undefined);
      throw error;
    }
  }

  async get(key: string, range?: ObjectRange): Promise<ObjectRead> {
    const target = this.#target(key);
    if (range !== undefined) checkObjectRange(range);
    // Nothing can't be asked for: a Range names its last byte.
    if (range?.length === 0) return this.#nothingOf(key);
    try {
      const answer = await this.#calls.run(this.#limits.answerMs, (abortSignal) =>
        this.#client.send(
          new GetObjectCommand({ ...target, ...(range === undefined ? {} : { Range: rangeHeader(range) }) }),
          { abortSignal },
        ),
      );
      const { size, bytes } = extentOf(answer, range);
      const isWhole = bytes === size;
      const sha256 = isWhole ? answer.Metadata?.[sha256Name] : undefined;
      const body = checkedBody(answer.Body as Readable, { bytes, sha256 }, this.#limits, this.#clock);
      return { size, stream: body };
    } catch (error) {
      if (isNoRange(error)) return this.#nothingOf(key);
      throw named(error, key);
    }
  }

  async #nothingOf(key: string): Promise<ObjectRead> {
    const info = await this.head(key);
    if (info === undefined) throw objectNotFound(key);
    return { size: info.size, stream: Readable.from([]) };
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const target = this.#target(key);
    try {
      const answer = await this.#head(target);
      return { key, size: answer.ContentLength ?? 0, modifiedAtMs: answer.LastModified?.getTime() ?? 0 };
    } catch (error) {
      if (error instanceof KefuError && error.code === 'not_found') return undefined;
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    const target = this.#target(key);
    try {
      await this.#calls.run(this.#limits.answerMs, (abortSignal) =>
        this.#client.send(new DeleteObjectCommand(target), { abortSignal }),
      );
    } catch (error) {
      if (!(error instanceof KefuError) || error.code !== 'not_found') throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    if (prefix !== '') checkObjectKey(prefix);
    let token: string | undefined;
    do {
      const page = await this.#calls.run(this.#limits.answerMs, (abortSignal) =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            MaxKeys: this.#pageObjects,
            ContinuationToken: token,
          }),
          { abortSignal },
        ),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const key = Key?.startsWith(this.#prefix) === true ? Key.slice(this.#prefix.length) : '';
        if (key !== '') yield { key, size: Size ?? 0, modifiedAtMs: LastModified?.getTime() ?? 0 };
      }
      const next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page.IsTruncated === true && (next === undefined || next === token))
        throw new KefuError('unavailable', 'the object store does not go on with its list');
      token = next;
    } while (token !== undefined);
  }

  #target(key: string): Target {
    checkObjectKey(key);
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  #head(target: Target): Promise<HeadObjectCommandOutput> {
    return this.#calls.run(this.#limits.answerMs, (abortSignal) =>
      this.#client.send(new HeadObjectCommand(target), { abortSignal }),
    );
  }

  async #putWhole(target: Target, bytes: Buffer, sha256: string): Promise<void> {
    const digest = md5Of(bytes);
    await this.#calls.run(this.#limits.sendMs, async (abortSignal) => {
      const command = new PutObjectCommand({
        ...target,
        Body: bytes,
        ContentLength: bytes.length,
        ContentMD5: digest.toString('base64'),
        ContentType: 'application/octet-stream',
        Metadata: { [sha256Name]: sha256 },
      });
      checkTag(await this.#client.send(command, { abortSignal }), digest);
    });
  }

  async #beginUpload(target: Target, sha256: string | undefined): Promise<Upload> {
    const { UploadId } = await this.#calls.run(this.#limits.answerMs, (abortSignal) =>
      this.#client.send(
        new CreateMultipartUploadCommand({
          ...target,
          ContentType: 'application/octet-stream',
          ...(sha256 === undefined ? {} : { Metadata: { [sha256Name]: sha256 } }),
        }),
        { abortSignal },
      ),
    );
    if (UploadId === undefined) throw new KefuError('unavailable', 'the object store gave the upload no id');
    return { target: { ...target, UploadId }, tags: [], digests: [] };
  }

  async #putPart({ target, tags, digests }: Upload, bytes: Buffer): Promise<void> {
    if (tags.length === partsMax)
      throw new KefuError('too_large', `an object here must have at most ${partsMax} parts`);
    const digest = md5Of(bytes);
    const tag = await this.#calls.run(this.#limits.sendMs, async (abortSignal) => {
      const command = new UploadPartCommand({
        ...target,
        PartNumber: tags.length + 1,
        Body: bytes,
        ContentLength: bytes.length,
        ContentMD5: digest.toString('base64'),
      });
      const answer = await this.#client.send(command, { abortSignal });
      checkTag(answer, digest);
      return answer.ETag;
    });
    tags.push(tag ?? '');
    digests.push(digest);
  }

  async #endUpload({ target, tags, digests }: Upload): Promise<void> {
    const Parts = tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    try {
      await this.#calls.run(this.#limits.sendMs, (abortSignal) =>
        this.#client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }), {
          abortSignal,
        }),
      );
    } catch (error) {
      // The answer to the first attempt may have been lost: then the upload is gone, and the object there.
      if (!isNoUpload(error)) throw error;
      const whole = `${md5Of(Buffer.concat(digests)).toString('hex')}-${digests.length}`;
      const found = await this.#head({ Bucket: target.Bucket, Key: target.Key }).catch(() => undefined);
      if (found?.ETag?.replaceAll('"', '').toLowerCase() !== whole) throw error;
    }
  }

  async #abortUpload({ target }: Upload): Promise<void> {
    await this.#calls.run(this.#limits.answerMs, (abortSignal) =>
      this.#client.send(new AbortMultipartUploadCommand(target), { abortSignal }),
    );
  }
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

interface Upload {
  readonly target: Target & { readonly UploadId: string };
  readonly tags: string[];
  /** MD5 of each part. */
  readonly digests: Buffer[];
}

function clientOf(
  { endpoint, region, pathStyle }: S3StoreOptions['location'],
  { connectMs }: S3Limits,
): S3Client {
  const agent = { keepAlive: true, maxSockets: connectionsMax };
  return new S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    // The SDK wants one; stores with an address of their own mostly do not care.
    ...(region === undefined ? (endpoint === undefined ? {} : { region: 'us-east-1' }) : { region }),
    forcePathStyle: pathStyle,
    maxAttempts: 1,
    // CRC trailers are unknown to older servers; Content-MD5 is not.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      // Deadlines are ours (S3Calls, checkedBody): the handler's would also cut off slow readers.
      socketTimeout: 0,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

/** Pieces of `partBytes`, the last one less; there is always a last one. */
async function* partsOf(
  content: ObjectContent,
  partBytes: number,
  maxBytes: number,
  hash: Hash,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  let size = 0;
  for await (const piece of content instanceof Uint8Array ? [content] : content) {
    size += piece.length;
    if (size > maxBytes) throw new KefuError('too_large', `an object here must be at most ${maxBytes} bytes`);
    hash.update(piece);
    for (let rest = piece; rest.length > 0;) {
      if (held === partBytes) {
        yield { bytes: Buffer.concat(pieces), isLast: false };
        pieces = [];
        held = 0;
      }
      const taken = rest.subarray(0, partBytes - held);
      pieces.push(taken);
      held += taken.length;
      rest = rest.subarray(taken.length);
    }
  }
  yield { bytes: Buffer.concat(pieces), isLast: true };
}

function md5Of(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

/** The tag is the MD5, unless the server encrypts or makes tags of its own. */
function checkTag(answer: PutObjectCommandOutput | UploadPartCommandOutput, digest: Buffer): void {
  const tag = (answer.ETag ?? '').replaceAll('"', '').toLowerCase();
  if (answer.ServerSideEncryption !== undefined || !/^[0-9a-f]{32}$/.test(tag)) return;
  if (tag !== digest.toString('hex')) throw new DifferentBytesError('the server has stored other bytes');
}

function rangeHeader({ offset, length }: ObjectRange): string {
  return `bytes=${offset}-${Math.min(offset + length, Number.MAX_SAFE_INTEGER) - 1}`;
}

/** How many bytes must come, and of how many; `unavailable` for an answer that is not about what was asked. */
function extentOf(
  answer: GetObjectCommandOutput,
  range: ObjectRange | undefined,
): { size: number; bytes: number } {
  const { ContentLength: bytes, ContentRange } = answer;
  try {
    if (bytes === undefined) throw new DifferentBytesError('the server does not say how long the object is');
    if (range === undefined) return { size: bytes, bytes };
    const [, first, last, whole] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '') ?? [];
    const size = Number(whole);
    const wanted = Math.min(range.length, size - range.offset);
    const isAsked =
      Number(first) === range.offset && Number(last) === range.offset + wanted - 1 && bytes === wanted;
    if (!isAsked) throw new DifferentBytesError('the server gave another range than was asked for');
    return { size, bytes };
  } catch (error) {
    (answer.Body as Readable | undefined)?.destroy();
    throw new KefuError('unavailable', 'the object store gave another answer than was asked for', {
      cause: error,
    });
  }
}

function named(error: unknown, key: string): unknown {
  return error instanceof KefuError && error.code === 'not_found' ? objectNotFound(key) : error;
}
