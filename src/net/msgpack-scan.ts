import { isUtf8 } from 'node:buffer';
import { KefuError } from '../core/errors.ts';

/**
 * Checks, before anything is built from it, that `bytes` are exactly one MessagePack value that JSON could also
 * say: maps with string keys, arrays, valid UTF-8 strings, finite numbers, integers that a double holds exactly,
 * booleans and nil, at most `depthMax` levels deep. Allocates nothing and follows no length that the bytes do not
 * bear out, so that `array32` of four thousand million costs five bytes of reading.
 *
 * It stands in front of msgpackr because that one, made for trusted peers, understands extensions for records,
 * dates, errors and typed arrays, calls itself for each level, and mends invalid UTF-8 silently.
 */
export function scanMessagePack(bytes: Uint8Array, depthMax: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length;
  // For each open map or array: how many values are still to come, a map's keys counted among them.
  const left = new Float64Array(depthMax);
  const isMap = new Uint8Array(depthMax);
  let depth = 0;
  let at = 0;
  for (;;) {
    if (at >= end) throw truncated();
    const token = bytes[at]!;
    at += 1;
    const wantsKey = depth > 0 && isMap[depth - 1] === 1 && left[depth - 1]! % 2 === 0;
    if (wantsKey && !isString(token)) throw bad('a key of a map that is not a string');
    let items = -1;
    if (token < 0x80 || token >= 0xe0) {
      // A small integer is its own value.
    } else if (token < 0x90) {
      items = (token & 0x0f) * 2;
    } else if (token < 0xa0) {
      items = token & 0x0f;
    } else if (token < 0xc0) {
      at = skipString(bytes, at, token & 0x1f);
    } else {
      const size = sizeOf[token - 0xc0]!;
      if (size < 0) throw bad('a binary, an extension or an unknown type');
      if (at + size > end) throw truncated();
      if (token >= 0xd9 && token <= 0xdb) at = skipString(bytes, at + size, lengthAt(view, at, size));
      else if (token >= 0xdc) items = lengthAt(view, at, size) * (token >= 0xde ? 2 : 1);
      else checkNumber(view, at, token);
      if (token < 0xd9 || token > 0xdb) at += size;
    }
    if (depth > 0) left[depth - 1]! -= 1;
    if (items > 0) {
      // Each value takes a byte at least: a length beyond the rest is refused at once.
      if (items > end - at) throw truncated();
      if (depth === depthMax) throw bad(`more than ${depthMax} levels of maps and arrays`);
      left[depth] = items;
      isMap[depth] = token < 0x90 || token >= 0xde ? 1 : 0;
      depth += 1;
    } else if (items === 0 && depth === depthMax) {
      throw bad(`more than ${depthMax} levels of maps and arrays`);
    }
    while (depth > 0 && left[depth - 1] === 0) depth -= 1;
    if (depth === 0) break;
  }
  if (at !== end) throw bad('more bytes after the value');
}

// Bytes after the tokens 0xc0 to 0xdf that hold a length or a number; -1 for the types that are refused.
const sizeOf = [
  0, -1, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, -1, -1, -1, -1, -1, 1, 2, 4, 2, 4, 2, 4,
];

function bad(what: string): KefuError {
  return new KefuError('bad_frame', `the MessagePack frame holds ${what}`);
}

function truncated(): KefuError {
  return new KefuError('bad_frame', 'the MessagePack frame ends too early');
}

function isString(token: number): boolean {
  return (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
}

function lengthAt(view: DataView, at: number, size: number): number {
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
}

function skipString(bytes: Uint8Array, at: number, length: number): number {
  const end = at + length;
  if (end > bytes.length) throw truncated();
  let seen = 0;
  for (let index = at; index < end; index += 1) seen |= bytes[index]!;
  if (seen >= 0x80 && !isUtf8(bytes.subarray(at, end))) throw bad('a string that is not UTF-8');
  return end;
}

function checkNumber(view: DataView, at: number, token: number): void {
  if (token === 0xca || token === 0xcb) {
    const value = token === 0xca ? view.getFloat32(at) : view.getFloat64(at);
    if (!Number.isFinite(value)) throw bad('a number that is not finite');
  } else if (token === 0xcf || token === 0xd3) {
    const high = token === 0xcf ? view.getUint32(at) : view.getInt32(at);
    if (!Number.isSafeInteger(high * 2 ** 32 + view.getUint32(at + 4))) {
      throw bad('an integer beyond 2^53 - 1: send it as a string');
    }
  }
}
