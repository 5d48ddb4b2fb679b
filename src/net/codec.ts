import { Packr } from 'msgpackr';
import { KefuError } from '../core/errors.ts';
import { scanMessagePack } from './msgpack-scan.ts';

export type CodecName = 'kefu.json.v1' | 'kefu.msgpack.v1';

/** How one connection's frames are written: the subprotocol. Stateless, so that one serves all connections. */
export interface Codec {
  readonly name: CodecName;
  /** Whether its frames are binary WebSocket messages. */
  readonly binary: boolean;
  /**
   * The frame as a plain object whose fields are not checked yet. Throws KefuError `bad_frame`, saying what was
   * wrong. Nothing of the result refers to `message`: uWebSockets.js reuses its memory after the callback.
   */
  decode(message: ArrayBuffer, isBinary: boolean): object;
  /** Fields that are undefined are left out. The bytes are the caller's: later frames don't overwrite them. */
  encode(frame: object): string | Uint8Array;
  /** A frame that is kept as JSON text, as events are: for JSON the text itself. */
  encodeEvent(json: string): string | Uint8Array;
}

/** Levels of objects and arrays in a client's frame; the frame itself is the first. */
export const frameDepthMax = 32;

export const jsonCodec: Codec = {
  name: 'kefu.json.v1',
  binary: false,
  decode: decodeJson,
  encode: (frame) => JSON.stringify(frame),
  encodeEvent: (json) => json,
};
export const msgpackCodec: Codec = {
  name: 'kefu.msgpack.v1',
  binary: true,
  decode: decodeMsgpack,
  encode: encodeMsgpack,
  encodeEvent: encodeJsonText,
};

/**
 * The codec for a `Sec-WebSocket-Protocol` header, in the client's order of preference; JSON where none is
 * offered (empty header), undefined where none of the offered ones is known.
 */
export function chooseCodec(offered: string): Codec | undefined {
  if (offered.trim() === '') return jsonCodec;
  for (const name of offered.split(',', 16)) {
    if (name.trim() === jsonCodec.name) return jsonCodec;
    if (name.trim() === msgpackCodec.name) return msgpackCodec;
  }
  return undefined;
}

// Measured beside Buffer's latin1Slice behind isAscii, and utf8Slice behind isUtf8: for 210 bytes 0.05 against
// 0.09 µs, for longer and for Chinese texts equal; and it refuses what isn't UTF-8 instead of mending it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeJson(message: ArrayBuffer, isBinary: boolean): object {
  if (isBinary) throw bad('kefu.json.v1 takes text frames only');
  let text: string;
  try {
    text = utf8.decode(message);
  } catch {
    throw bad('the frame is not valid UTF-8');
  }
  if (isTooDeep(text)) throw bad(`the frame has more than ${frameDepthMax} levels of objects and arrays`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the frame, and so somebody's words: it goes nowhere.
    throw bad('the frame is not valid JSON');
  }
  return plainObject(value);
}

/**
 * Depth is checked before parsing, for later code walks frames by recursion. Nearly every frame is let through by
 * two or three searches for brackets; only one with more than 32 of them is read character by character.
 */
function isTooDeep(text: string): boolean {
  return countUpTo(text, '{') + countUpTo(text, '[') > frameDepthMax && depthOf(text) > frameDepthMax;
}

function countUpTo(text: string, bracket: string): number {
  let count = 0;
  for (
    let at = text.indexOf(bracket);
    at >= 0 && count <= frameDepthMax;
    at = text.indexOf(bracket, at + 1)
  ) {
    count += 1;
  }
  return count;
}

/** The deepest level of JSON text; brackets in strings don't count. For text that isn't JSON any number. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (isInString) {
      if (unit === 0x5c) at += 1;
      else if (unit === 0x22) isInString = false;
    } else if (unit === 0x22) isInString = true;
    else if (unit === 0x7b || unit === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (unit === 0x7d || unit === 0x5d) depth -= 1;
  }
  return deepest;
}

// No records, no structured clone, no toJSON: plain maps that every MessagePack library reads. `useToJSON` matters:
// an object of a client's with fields named constructor and toJSON would otherwise be called, and throw.
// `skipValues` and `encodeUndefinedAsNil` do for undefined what JSON.stringify does; the first is not in the types.
const packrOptions = {
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  skipValues: [undefined],
  encodeUndefinedAsNil: true,
  useToJSON: false,
  int64AsType: 'number',
} as const;
const packr = new Packr(packrOptions);

function decodeMsgpack(message: ArrayBuffer, isBinary: boolean): object {
  if (!isBinary) throw bad('kefu.msgpack.v1 takes binary frames only');
  const bytes = Buffer.from(message);
  scanMessagePack(bytes, frameDepthMax);
  return plainObject(packr.unpack(bytes));
}

function encodeMsgpack(frame: object): Uint8Array {
  return packr.pack(hasLongInteger(frame) ? withBigInts(frame) : frame);
}

/** A frame that is kept as JSON text, for a connection that speaks MessagePack. */
export function encodeJsonText(json: string): Uint8Array {
  return encodeMsgpack(JSON.parse(json) as object);
}

/** msgpackr writes an integer of more than 32 bits as a float, which a typed language's int64 doesn't take. */
function isLongInteger(value: unknown): boolean {
  return Number.isSafeInteger(value) && ((value as number) > 0xffffffff || (value as number) < -0x80000000);
}

function hasLongInteger(value: object): boolean {
  for (const key in value) {
    const item: unknown = (value as Record<string, unknown>)[key];
    if (typeof item === 'number' ? isLongInteger(item) : isObject(item) && hasLongInteger(item)) return true;
  }
  return false;
}

function withBigInts(value: unknown): unknown {
  if (isLongInteger(value)) return BigInt(value as number);
  if (Array.isArray(value)) return value.map(withBigInts);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBigInts(item)]));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function plainObject(value: unknown): object {
  if (!isObject(value) || Array.isArray(value)) throw bad('a frame must be an object');
  return value;
}

function bad(message: string): KefuError {
  return new KefuError('bad_frame', message);
}
