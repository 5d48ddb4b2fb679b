import { KefuError } from '../core/errors.ts';
import type { Actor } from '../rules/session.ts';
import { fieldsOf, integerOf, textOf } from './fields.ts';
import type { HttpResponse } from './http-server.ts';
import { optionalId, pageLimit } from './query.ts';
import type { Requests } from './requests.ts';

interface Asker {
  readonly id: string;
  readonly name: string;
}

/** What the routes need, adapted by src/store. Every change is noted in the audit with who asked. */
export interface RightsStore {
  askErasure(customer: string, by: Asker, reason: string): Promise<void>;
  openSessions(customer: string): Promise<readonly string[]>;
  erase(customer: string): Promise<{ sessions: number; events: number; files: number; done: boolean }>;
  hold(customer: string, by: Asker, reason: string): Promise<void>;
  lift(customer: string, by: Asker): Promise<void>;
  setRetention(group: string, keepMs: number | null, by: Asker): Promise<void>;
  audit(
    before: string | undefined,
    limit: number,
  ): Promise<readonly { id: string; at: number; actor: string | null; name: string }[]>;
}

export interface RightsApi {
  readonly rights: RightsStore;
  readonly requests: Requests;
}

const dayMs = 86_400_000;
const keepDaysMax = 36_500;
const reasonChars = 500;

function reasonOf(body: unknown): string {
  return textOf(fieldsOf(body, 'the body')['reason'], 'reason', { min: 1, max: reasonChars });
}

/** Open sessions are closed first; what can't be erased now is done by the chores, and `state` says so. */
export async function eraseCustomer(
  { rights, requests }: RightsApi,
  who: Actor,
  customer: string,
  body: unknown,
): Promise<HttpResponse> {
  await rights.askErasure(customer, who, reasonOf(body));
  for (const session of await rights.openSessions(customer))
    await requests.close(who, session, 'erased').catch((error: unknown) => {
      // Closed meanwhile by somebody else, or not to be had just now: the chores look again.
      if (!(error instanceof KefuError)) throw error;
    });
  const { done, ...counts } = await rights.erase(customer);
  return { status: 202, body: { customer, state: done ? 'done' : 'pending', ...counts } };
}

export async function holdCustomer(
  { rights }: RightsApi,
  who: Actor,
  customer: string,
  body: unknown,
): Promise<HttpResponse> {
  const reason = reasonOf(body);
  await rights.hold(customer, who, reason);
  return { status: 201, body: { customer, reason } };
}

export async function liftHold({ rights }: RightsApi, who: Actor, customer: string): Promise<HttpResponse> {
  await rights.lift(customer, who);
  return { status: 204 };
}

/** `keep_days` null: for ever. */
export async function keepGroup(
  { rights }: RightsApi,
  who: Actor,
  group: string,
  body: unknown,
): Promise<HttpResponse> {
  const days = fieldsOf(body, 'the body')['keep_days'];
  const keepDays = days === null ? null : integerOf(days, 'keep_days', 1, keepDaysMax);
  await rights.setRetention(group, keepDays === null ? null : keepDays * dayMs, who);
  return { status: 200, body: { name: group, keep_days: keepDays } };
}

export async function auditPage({ rights }: RightsApi, query: URLSearchParams): Promise<HttpResponse> {
  const limit = pageLimit(query, 50, 200);
  const found = await rights.audit(optionalId(query, 'cursor'), limit + 1);
  const data = found.slice(0, limit).map((entry) => ({ ...entry, at: new Date(entry.at).toISOString() }));
  return { status: 200, body: { data, next: found.length > limit ? data.at(-1)!.id : null } };
}
