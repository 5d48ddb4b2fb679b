import type { System } from '../actors/engine/types.ts';
import {
  agentKind,
  customerKind,
  sessionKind,
  type AgentProfile,
  type AgentStatus,
  type Connected,
  type HistoryPage,
  type Opened,
  type Peer,
  type Presence,
  type Said,
} from '../actors/messages.ts';
import { isOutcomeUnknown, KefuError } from '../core/errors.ts';
import type { SessionView } from '../protocol/session-view.ts';
import type { Actor, Attributes, TransferTarget } from '../rules/session.ts';
import type { OpenRequest } from './requests-in.ts';
import type { Identity } from './tokens.ts';

/** What the requests need of the tables, declared here for src/net. */
export interface Registry {
  agent(id: string): Promise<AgentProfile | undefined>;
  customer(
    id: string,
  ): Promise<{ id: string; name: string; channel: string; attributes: Attributes } | undefined>;
  groupExists(group: string): Promise<boolean>;
}

/** Bounds a request's way through the actors and the journal; then its outcome is unknown. */
const askMs = 12_000;

/** What clients ask for, the same over WebSocket and HTTP. All reject with KefuErrors. */
export class Requests {
  readonly #system: System;
  readonly #registry: Registry;

  constructor(system: System, registry: Registry) {
    this.#system = system;
    this.#registry = registry;
  }

  /** Whom a token stands for now: the tables decide, not what the token once said. */
  async who(identity: Identity): Promise<Actor> {
    if (identity.kind === 'customer') {
      return { kind: 'customer', id: identity.id, name: identity.name ?? '' };
    }
    return agentActor(await this.#agent(identity.id));
  }

  async greet(
    identity: Identity,
    peer: Peer,
  ): Promise<{ who: Actor; me: object; sessions: readonly string[] }> {
    if (identity.kind === 'customer') {
      const who = await this.who(identity);
      const customer = this.#system.ref(customerKind, who.id);
      const open = await again((ms) => customer.ask<string | null>({ type: 'current' }, ms));
      return { who, me: who, sessions: open === null ? [] : [open] };
    }
    const { profile, sessions } = await this.#connect(identity.id, peer, []);
    return { who: agentActor(profile), me: profile, sessions };
  }

  /** `held`: what the connection was told is this agent's; it is told `released` of what is not any more. */
  reconnect(who: Actor, peer: Peer, held: readonly string[]): Promise<Connected> {
    return this.#connect(who.id, peer, held);
  }

  #connect(agent: string, peer: Peer, held: readonly string[]): Promise<Connected> {
    const ref = this.#system.ref(agentKind, agent);
    return again((ms) => ref.ask<Connected>({ type: 'connect', peer, held }, ms));
  }

  leave(agent: string, peer: Peer): void {
    this.#system.ref(agentKind, agent).tell({ type: 'disconnect', peer });
  }

  async open(who: Actor, request: OpenRequest): Promise<Opened> {
    if (who.kind !== 'customer') throw new KefuError('forbidden', 'only a customer opens a session');
    const group = request.group ?? 'support';
    if (!(await this.#registry.groupExists(group)))
      throw new KefuError(
        'not_found',
        `there is no group ${group}: ask an admin for one, or leave group out`,
      );
    const customer = await this.#registry.customer(who.id);
    if (customer === undefined)
      throw new KefuError('unauthorized', 'this customer is not known here any more');
    return this.#system.ref(customerKind, who.id).ask<Opened>(
      {
        type: 'open',
        customer: { id: who.id, name: customer.name },
        group,
        channel: customer.channel,
        subject: request.subject ?? null,
        attributes: request.attributes ?? {},
      },
      askMs,
    );
  }

  say(who: Actor, session: string, id: string, body: unknown): Promise<Said> {
    const ref = this.#system.ref(sessionKind, session);
    return again((ms) => ref.ask<Said>({ type: 'post', who, id, body }, ms));
  }

  view(who: Actor, session: string): Promise<SessionView> {
    const ref = this.#system.ref(sessionKind, session);
    return again((ms) => ref.ask<SessionView>({ type: 'view', who }, ms));
  }

  history(
    who: Actor,
    session: string,
    range: { before?: number; after?: number },
    limit: number,
  ): Promise<HistoryPage> {
    const ref = this.#system.ref(sessionKind, session);
    return again((ms) => ref.ask<HistoryPage>({ type: 'history', who, ...range, limit }, ms));
  }

  close(who: Actor, session: string, reason: string | undefined): Promise<SessionView> {
    const why = reason ?? (who.kind === 'customer' ? 'customer' : 'agent');
    return this.#system
      .ref(sessionKind, session)
      .ask<SessionView>({ type: 'close', who, reason: why }, askMs);
  }

  rate(who: Actor, session: string, score: number, comment: string | null): Promise<SessionView> {
    return this.#system
      .ref(sessionKind, session)
      .ask<SessionView>({ type: 'rate', who, score, comment }, askMs);
  }

  async transfer(
    who: Actor,
    session: string,
    to: { readonly agent?: string; readonly group?: string },
    note: string | undefined,
  ): Promise<SessionView> {
    if (who.kind === 'customer') throw new KefuError('forbidden', 'a customer can’t transfer a session');
    const target =
      to.agent === undefined ? await this.#toGroup(to.group!) : await this.#toAgent(who, session, to.agent);
    return this.#system
      .ref(sessionKind, session)
      .ask<SessionView>({ type: 'transfer', who, to: target, note: note ?? null }, askMs);
  }

  async #toGroup(group: string): Promise<TransferTarget> {
    if (await this.#registry.groupExists(group)) return { group };
    throw new KefuError('not_found', `there is no group ${group}`);
  }

  /** The session goes to a queue that the agent is served by: its own group's, where the agent is a member. */
  async #toAgent(who: Actor, session: string, agent: string): Promise<TransferTarget> {
    const view = await this.view(who, session);
    const profile = await this.#registry.agent(agent);
    if (profile === undefined) throw new KefuError('not_found', 'there is no such agent');
    const status = await this.#system.ref(agentKind, agent).ask<AgentStatus>({ type: 'status' }, askMs);
    if (status.presence !== 'online')
      throw new KefuError(
        'conflict',
        `that agent is ${status.presence}: choose one who is online, or a group`,
      );
    if (profile.groups.includes(view.group)) return { agent };
    const group = profile.groups[0];
    if (group === undefined) throw new KefuError('conflict', 'that agent is in no group');
    return { agent, group };
  }

  async presence(who: Actor, state: Presence): Promise<null> {
    if (who.kind === 'customer') throw new KefuError('forbidden', 'presence is for agents');
    return again((ms) => this.#system.ref(agentKind, who.id).ask<null>({ type: 'presence', state }, ms));
  }

  async #agent(id: string): Promise<AgentProfile> {
    const profile = await this.#registry.agent(id);
    if (profile === undefined) throw new KefuError('unauthorized', 'this agent is not known here any more');
    return profile;
  }
}

/**
 * For what can be asked twice and happens once: when a node dies its asks end without an answer, long before their
 * deadline, and by then somebody else has what was asked.
 */
async function again<T>(ask: (timeoutMs: number) => Promise<T>): Promise<T> {
  try {
    return await ask(askMs / 2);
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error;
    return ask(askMs / 2);
  }
}

export function agentActor(profile: AgentProfile): Actor {
  const { id, name, kind, role, groups } = profile;
  return { kind, id, name, role, groups };
}
