import { KefuError } from '../core/errors.ts';
import { viewOf, type SessionView } from '../protocol/session-view.ts';
import type { Actor, SessionState } from '../rules/session.ts';
import { bad } from './fields.ts';
import { optional, optionalId, pageLimit } from './query.ts';

/** What the list of sessions needs of the tables. */
export interface SessionLister {
  listSessions(filter: {
    state?: string;
    agent?: string;
    customer?: string;
    group?: string;
    q?: string;
    visibleTo?: { agent: string; groups: readonly string[] };
    before?: string;
    limit: number;
  }): Promise<SessionState[]>;
}

const pageUsual = 50;
const pageMax = 100;
export const sessionStates = new Set(['waiting', 'chatting', 'transferring', 'closed']);

/** Which sessions an agent may see: those of its groups and its own; an admin all. */
export function visibleTo(who: Actor): { visibleTo?: { agent: string; groups: readonly string[] } } {
  return who.role === 'admin' ? {} : { visibleTo: { agent: who.id, groups: who.groups ?? [] } };
}

/** A page of the sessions that an agent may see, newest first: the same for HTTP and NATS. */
export async function sessionPage(
  store: SessionLister,
  who: Actor,
  query: URLSearchParams,
): Promise<{ data: SessionView[]; next: string | null }> {
  if (who.kind === 'customer') throw new KefuError('forbidden', 'this is for agents');
  const state = optional(query, 'state');
  if (state !== undefined && !sessionStates.has(state)) throw bad('state', [...sessionStates].join(', '));
  const limit = pageLimit(query, pageUsual, pageMax);
  const agent = optionalId(query, 'agent');
  const customer = optionalId(query, 'customer');
  const before = optionalId(query, 'cursor');
  const group = optional(query, 'group');
  const q = optional(query, 'q')?.replaceAll('\0', '').slice(0, 200);
  const given = { state, agent, customer, group, q, before, ...visibleTo(who) };
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const found = await store.listSessions({ ...filter, limit: limit + 1 });
  const page = found.slice(0, limit);
  return { data: page.map(viewOf), next: found.length > limit ? page.at(-1)!.id : null };
}
