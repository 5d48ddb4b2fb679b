import type { HeaderList } from './static-files.ts';

/**
 * What a file that somebody uploaded is taken for, and how it is handed out. Only four kinds of image, known by their
 * first bytes, are ever shown inline; all else is a download, and nothing is sent under a type that a browser would
 * run as a page of this server's.
 */

/** So many of a file's first bytes are needed. */
export const sniffBytes = 12;

export function sniffType(head: Uint8Array): string | undefined {
  if (startsWith(head, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'image/png';
  if (startsWith(head, [0xff, 0xd8, 0xff])) return 'image/jpeg';
  const text = String.fromCharCode(...head.subarray(0, sniffBytes));
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return 'image/gif';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'image/webp';
  return undefined;
}

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

const inlineTypes: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

export function isInlineType(mime: string): boolean {
  return inlineTypes.has(mime);
}

const mediaType = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
/** What browsers may run or draw with scripts in it; it is kept as plain bytes. */
const active =
  /html|xml|svg|javascript|ecmascript|x-shockwave|mathml|^multipart\/|^text\/(?:css|vbscript)|wasm/;

/** The type to keep a file under: its bytes decide about images, the sender's word about what can do no harm. */
export function typeOfUpload(head: Uint8Array, claimed: string | undefined): string {
  const sniffed = sniffType(head);
  if (sniffed !== undefined) return sniffed;
  const type = (claimed ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (!mediaType.test(type) || active.test(type) || inlineTypes.has(type)) return 'application/octet-stream';
  return type;
}

/** Of control characters, of bidirectional marks that can hide an ending (`gpj.exe`), and of lone surrogates. */
const unsafeInNames = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]/gu;
const nameCharsMax = 200;

/** A name without folders, fit for a header and for most file systems; never empty. Its ending survives cutting. */
export function cleanFileName(name: string): string {
  const last = name.replace(unsafeInNames, '').split(/[/\\]/).pop() ?? '';
  const clean = last.replace(/[<>:"|?*]/g, '_').replace(/^[\s.]+|[\s.]+$/g, '');
  const chars = Array.from(clean);
  if (chars.length <= nameCharsMax) return clean === '' ? 'file' : clean;
  const ending = /\.[A-Za-z0-9]{1,10}$/.exec(clean)?.[0] ?? '';
  return chars.slice(0, nameCharsMax - ending.length).join('') + ending;
}

/** RFC 6266: `filename` in ASCII for the oldest clients, `filename*` (RFC 8187) where that loses something. */
export function contentDisposition(name: string, isInline: boolean): string {
  const clean = cleanFileName(name);
  const kind = isInline ? 'inline' : 'attachment';
  const ascii = clean.replace(/[^\x20-\x7e]/gu, '_').replace(/[\\"%]/g, '_');
  if (ascii === clean) return `${kind}; filename="${ascii}"`;
  const encoded = encodeURIComponent(clean).replace(/['()*!]/g, (char) => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `${kind}; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}

/**
 * All headers of a file but its length. The sandbox is for a browser that shows it all the same. A file never changes,
 * but who may see it can: private, and not for ever.
 */
export function uploadHeaders(name: string, mime: string): HeaderList {
  const isInline = isInlineType(mime);
  return [
    ['content-type', mime],
    ['content-disposition', contentDisposition(name, isInline)],
    ['x-content-type-options', 'nosniff'],
    ['content-security-policy', "default-src 'none'; sandbox"],
    ['cross-origin-resource-policy', 'same-origin'],
    ['referrer-policy', 'no-referrer'],
    ['cache-control', 'private, max-age=3600'],
  ];
}
