import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { KefuError } from '../core/errors.ts';

/**
 * The built pages, held in memory: read once at the start, compressed in the background, and looked up by path in a
 * map, so that no request reaches the file system and no path leads out of the folder.
 */

export type HeaderList = readonly (readonly [name: string, value: string])[];

export interface StaticResponse {
  readonly status: 200 | 304;
  /** Without Content-Length, which the HTTP server writes. */
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

interface Variant {
  readonly response: StaticResponse;
  readonly notModified: StaticResponse;
}

interface StaticFile {
  readonly hash: string;
  readonly plain: Variant;
  brotli?: Variant;
  gzip?: Variant;
}

/** Of all files together, uncompressed. */
export const staticBytesMax = 32 * 1024 * 1024;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.mp3': 'audio/mpeg',
  '.ogg': 'audio/ogg',
};

/** What shrinks; the other types are compressed already. */
const compressible = /^(?:text\/|application\/(?:json|manifest|wasm)|image\/(?:svg|x-icon))/;
const compressBytesMin = 1024;

const policy =
  "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; " +
  "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors ";

const brotliAsync = promisify(brotliCompress);
const gzipAsync = promisify(gzip);

export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;
  /** Ends when all files are compressed; until then they are sent as they are. */
  readonly compressed: Promise<void>;

  constructor(files: ReadonlyMap<string, StaticFile>, compressed: Promise<void>) {
    this.#files = files;
    this.compressed = compressed;
  }

  get size(): number {
    return this.#files.size;
  }

  /** The answer to GET `path` (no query); undefined where there is no such file. The two headers may be empty. */
  respond(path: string, acceptEncoding: string, ifNoneMatch: string): StaticResponse | undefined {
    const file = this.#files.get(path);
    if (file === undefined) return undefined;
    const variant = chooseVariant(file, acceptEncoding);
    return isKnownTo(ifNoneMatch, file.hash) ? variant.notModified : variant.response;
  }
}

/**
 * Reads all files of `directory`; none where it does not exist, so that a server whose pages were not built still
 * serves its API. Throws `too_large` when they exceed 32 MiB.
 */
export async function loadStaticFiles(directory: string): Promise<StaticFiles> {
  const files = new Map<string, StaticFile>();
  const work: (() => Promise<void>)[] = [];
  let bytes = 0;
  for (const name of await namesIn(directory)) {
    const body = await readFile(join(directory, name));
    bytes += body.length;
    if (bytes > staticBytesMax) {
      throw new KefuError('too_large', `${directory} holds more than ${staticBytesMax} bytes of pages`);
    }
    const { file, compress } = makeFile(name, body);
    for (const path of pathsOf(name)) files.set(path, file);
    if (compress) work.push(compress);
  }
  return new StaticFiles(files, runAll(work));
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true, recursive: true });
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** `index.html` is `/` too, and a page on the top level goes without its ending: `/desk`. */
function pathsOf(name: string): string[] {
  const paths = [`/${name}`];
  if (name === 'index.html') paths.push('/');
  else if (name.endsWith('.html') && !name.includes('/')) paths.push(`/${name.slice(0, -'.html'.length)}`);
  return paths;
}

function makeFile(name: string, body: Uint8Array): { file: StaticFile; compress?: () => Promise<void> } {
  const hash = createHash('sha256').update(body).digest('base64url');
  const headers = headersOf(name);
  const file: StaticFile = { hash, plain: makeVariant(headers, `"${hash}"`, body) };
  const type = types[extname(name)] ?? '';
  if (body.length < compressBytesMin || !compressible.test(type)) return { file };
  return { file, compress: () => compressFile(file, headers, body) };
}

async function compressFile(file: StaticFile, headers: HeaderList, body: Uint8Array): Promise<void> {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
  const brotli = await brotliAsync(body, {
    params: { [BROTLI_PARAM_QUALITY]: 6, [BROTLI_PARAM_SIZE_HINT]: body.length },
  });
  const gzipped = await gzipAsync(body, { level: 7 });
  const variantOf = (encoding: string, bytes: Uint8Array): Variant =>
    makeVariant([...headers, ['content-encoding', encoding]], `"${file.hash}-${encoding}"`, bytes);
  if (brotli.length < body.length) file.brotli = variantOf('br', brotli);
  if (gzipped.length < body.length) file.gzip = variantOf('gzip', gzipped);
}

/** One after the other: the thread pool is also for files and passwords. */
async function runAll(work: readonly (() => Promise<void>)[]): Promise<void> {
  for (const task of work) await task();
}

/** A strong ETag stands for one sequence of bytes, so each encoding has its own. */
function makeVariant(headers: HeaderList, etag: string, body: Uint8Array): Variant {
  const all: HeaderList = [...headers, ['etag', etag]];
  // RFC 9110, 15.4.5: what 200 would say of caching; of the content nothing.
  const kept: HeaderList = all.filter(([name]) => name !== 'content-type' && name !== 'content-encoding');
  return {
    response: { status: 200, headers: all, body },
    notModified: { status: 304, headers: kept, body: new Uint8Array() },
  };
}

function headersOf(name: string): HeaderList {
  const type = types[extname(name)] ?? 'application/octet-stream';
  const headers: [string, string][] = [
    ['content-type', type],
    ['cache-control', name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'],
    ['vary', 'Accept-Encoding'],
    ['x-content-type-options', 'nosniff'],
    ['referrer-policy', 'strict-origin-when-cross-origin'],
  ];
  if (/html|svg/.test(type)) {
    // The widget's frame lives in other people's pages; no other page does.
    headers.push(['content-security-policy', policy + (name === 'widget.html' ? '*' : "'self'")]);
  }
  if (name === 'widget.js' || name === 'widget.html') {
    headers.push(['cross-origin-resource-policy', 'cross-origin'], ['access-control-allow-origin', '*']);
  }
  return headers;
}

function chooseVariant(file: StaticFile, acceptEncoding: string): Variant {
  if (file.brotli !== undefined && accepts(acceptEncoding, 'br')) return file.brotli;
  if (file.gzip !== undefined && accepts(acceptEncoding, 'gzip')) return file.gzip;
  return file.plain;
}

/** Whether the encoding is named, and not by `q=0`; `*` is not taken up: browsers name what they know. */
function accepts(acceptEncoding: string, encoding: string): boolean {
  return acceptEncoding.split(',', 16).some((item) => {
    const [name = '', ...parameters] = item.split(';', 4);
    if (name.trim().toLowerCase() !== encoding) return false;
    return !parameters.some((parameter) => /^\s*q\s*=\s*0(?:\.0*)?\s*$/i.test(parameter));
  });
}

/** By the content's hash, whatever the encoding: who has the bytes in any form needs no others. */
function isKnownTo(ifNoneMatch: string, hash: string): boolean {
  return ifNoneMatch.trim() === '*' || ifNoneMatch.includes(`"${hash}`);
}
