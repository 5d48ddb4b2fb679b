import { KefuError } from '../core/errors.ts';
import { isId } from '../core/ids.ts';
import type { JsonObject, JsonValue } from '../protocol/bodies.ts';

/**
 * Checks of single fields of what clients send, by frame or by HTTP. Each returns the value, typed, or throws a
 * `bad_request` (`too_large` for what is only too big) that names the field and what was expected; a message never
 * repeats the value, for it may be somebody's words. `null` stands for an absent optional field: clients in typed
 * languages send it so.
 */

export type Fields = Readonly<Record<string, unknown>>;

export function bad(field: string, expected: string): KefuError {
  return new KefuError('bad_request', `${field} must be ${expected}`);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fieldsOf(value: unknown, field: string): Fields {
  if (!isFields(value)) throw bad(field, 'an object');
  return value;
}

/** At most `max` code points. Counting them is needed only between `max` and twice `max` UTF-16 units. */
export function isWithinChars(text: string, max: number): boolean {
  if (text.length <= max) return true;
  if (text.length > max * 2) return false;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    count += 1;
    const unit = text.charCodeAt(at);
    if (unit >= 0xd800 && unit <= 0xdbff) at += 1;
  }
  return count <= max;
}

/** Neither a lone surrogate, which has no UTF-8, nor U+0000, which PostgreSQL's text and jsonb refuse. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

const control = /\p{Cc}/u;

export function hasControl(text: string): boolean {
  return control.test(text);
}

export interface TextRule {
  readonly min?: number;
  readonly max: number;
  /** Refuse control characters, line ends among them. */
  readonly line?: boolean;
}

export function textOf(value: unknown, field: string, rule: TextRule): string {
  const min = rule.min ?? 0;
  if (typeof value !== 'string' || value.length < min || !isWithinChars(value, rule.max)) {
    throw bad(field, `a string of ${min} to ${rule.max} characters`);
  }
  if (!isStorable(value)) throw bad(field, 'a string without lone surrogates or U+0000');
  if (rule.line && hasControl(value)) throw bad(field, 'a string without control characters');
  return value;
}

export function optionalText(value: unknown, field: string, rule: TextRule): string | undefined {
  return value === undefined || value === null ? undefined : textOf(value, field, rule);
}

export function idOf(value: unknown, field: string): string {
  if (!isId(value)) throw bad(field, 'a UUID in lower-case text');
  return value;
}

export function integerOf(value: unknown, field: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    const upTo = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw bad(field, `an integer ${upTo}`);
  }
  return value as number;
}

const groupName = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export function groupOf(value: unknown, field: string): string {
  if (typeof value !== 'string' || !groupName.test(value)) {
    throw bad(field, 'a group name: 1 to 64 of a-z, 0-9, _ and -, the first a letter or digit');
  }
  return value;
}

export interface JsonRule {
  /** UTF-8 bytes of the compact JSON. */
  readonly bytes: number;
  /** Levels of objects and arrays. */
  readonly depth: number;
}

/** Any JSON value within the limits; its strings and keys can be stored. */
export function jsonOf(value: unknown, field: string, rule: JsonRule): JsonValue {
  checkJson(value, field, rule.depth);
  if (Buffer.byteLength(JSON.stringify(value)) > rule.bytes) {
    throw new KefuError('too_large', `${field} must be at most ${rule.bytes} bytes as JSON`);
  }
  return value as JsonValue;
}

function checkJson(value: unknown, field: string, depthLeft: number): void {
  switch (typeof value) {
    case 'string':
      if (!isStorable(value)) throw bad(field, 'free of lone surrogates and U+0000');
      return;
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) throw bad(field, 'JSON: a number in it is not finite');
      return;
    case 'object':
      break;
    default:
      throw bad(field, 'JSON');
  }
  if (value === null) return;
  if (depthLeft === 0) throw bad(field, 'less deeply nested');
  if (Array.isArray(value)) {
    for (const item of value) checkJson(item, field, depthLeft - 1);
    return;
  }
  for (const key of Object.keys(value)) {
    // JSON.parse makes it an own property, but one careless copy further on would make it a prototype.
    if (key === '__proto__' || !isStorable(key)) {
      throw bad(field, 'without __proto__, lone surrogates or U+0000 in its keys');
    }
    checkJson((value as Fields)[key], field, depthLeft - 1);
  }
}

export const attributesLimits = { bytes: 4096, depth: 4, keys: 64 } as const;

export function optionalAttributes(value: unknown, field: string): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = fieldsOf(value, field);
  if (Object.keys(fields).length > attributesLimits.keys) {
    throw bad(field, `an object of at most ${attributesLimits.keys} keys`);
  }
  return jsonOf(fields, field, attributesLimits) as JsonObject;
}
