import { isId } from '../core/ids.ts';
import { bad } from './fields.ts';

/** Checks of a query’s parameters; an empty one is none. All throw KefuError `bad_request`, naming the parameter. */

export function optional(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === '' ? undefined : value;
}

export function optionalId(query: URLSearchParams, name: string): string | undefined {
  const value = optional(query, name);
  if (value !== undefined && !isId(value)) throw bad(name, 'an id: a UUID in lower case');
  return value;
}

export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const value = optional(query, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw bad(name, 'a whole number');
  return Number(value);
}

export function pageLimit(query: URLSearchParams, usual: number, max: number): number {
  const limit = numberOf(query, 'limit') ?? usual;
  if (limit < 1) throw bad('limit', `1 to ${max}`);
  return Math.min(limit, max);
}
