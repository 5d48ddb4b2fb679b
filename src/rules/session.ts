import { refusal, type Refusal } from '../core/errors.ts';

/**
 * The session's life cycle. A session is a log: `decide` turns a command into events or a refusal and changes
 * nothing; `evolve` turns an event into the next state. Both are pure. The journal keeps the events; the state is
 * what the sessions table indexes.
 *
 *   waiting ──assign──▶ chatting ──transfer──▶ transferring ──assign──▶ chatting; any of them ──close──▶ closed
 */
export type SessionStatus = 'waiting' | 'chatting' | 'transferring' | 'closed';

export interface Person {
  readonly id: string;
  readonly name: string;
}

export type SenderKind = 'customer' | 'agent' | 'bot' | 'system';

/** Who stands behind an event. */
export interface Sender {
  readonly kind: SenderKind;
  readonly id: string;
  readonly name: string;
}

export const systemSender: Sender = { kind: 'system', id: 'system', name: 'kefu' };

/** Who sends a command: a sender with what it may do. */
export interface Actor extends Sender {
  readonly role?: 'agent' | 'admin';
  readonly groups?: readonly string[];
}

export interface TransferTarget {
  readonly agent?: string;
  readonly group?: string;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Attributes = { readonly [key: string]: Json };

export interface SessionState {
  readonly id: string;
  readonly state: SessionStatus;
  readonly customer: Person;
  readonly agent: Person | null;
  readonly group: string;
  readonly channel: string;
  readonly subject: string | null;
  readonly attributes: Attributes;
  /** Higher is served first. New sessions 0; transferred ones 1, since they have waited before. */
  readonly priority: number;
  /** The agent a transfer was meant for, until it takes the session or leaves. */
  readonly target: string | null;
  /** The customer's last agent, which it gets again when free. */
  readonly lastAgent: string | null;
  /** Since when it has been waiting, milliseconds since 1970. */
  readonly waitingSince: number;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly rated: boolean;
  /** The customer's session before this one. */
  readonly previous: string | null;
  readonly lastSeq: number;
}

/** An event's content, without its place (session, seq) and time, which the session actor adds. */
export type EventBody =
  | {
      readonly type: 'opened';
      readonly customer: Person;
      readonly group: string;
      readonly channel: string;
      readonly subject: string | null;
      readonly attributes: Attributes;
      /** The customer's last agent and last session, as in the state. */
      readonly last_agent: string | null;
      readonly previous: string | null;
    }
  | { readonly type: 'message'; readonly id: string; readonly body: unknown }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'assigned'; readonly agent: Person }
  | { readonly type: 'transferring'; readonly to: TransferTarget; readonly reason: string }
  | { readonly type: 'retargeted'; readonly to: TransferTarget }
  | { readonly type: 'closed'; readonly reason: string }
  | { readonly type: 'rated'; readonly score: number; readonly comment: string | null };

export type SessionEvent = EventBody & { readonly seq: number; readonly at: number; readonly from: Sender };

export type Command =
  | {
      readonly type: 'open';
      readonly id: string;
      readonly customer: Person;
      readonly group: string;
      readonly channel: string;
      readonly subject: string | null;
      readonly attributes: Attributes;
      readonly lastAgent: string | null;
      readonly previous: string | null;
    }
  | { readonly type: 'say'; readonly id: string; readonly body: unknown }
  | { readonly type: 'assign'; readonly agent: Person }
  | { readonly type: 'transfer'; readonly to: TransferTarget; readonly note: string | null }
  /** The agent is gone for longer than its grace: back to the queue. */
  | { readonly type: 'requeue'; readonly agent: string; readonly reason: string }
  /** The agent that a transfer was meant for has left: anybody of the group may take it. */
  | { readonly type: 'retarget' }
  | { readonly type: 'close'; readonly reason: string }
  | { readonly type: 'rate'; readonly score: number; readonly comment: string | null };

export type Decision = { readonly events: readonly EventBody[] } | { readonly refusal: Refusal };

function refuse(code: Refusal['code'], message: string): Decision {
  return { refusal: refusal(code, message) };
}

/** Whether `who` may read this session: its customer; the agent that holds it, those of its group; admins. */
export function mayRead(state: SessionState, who: Actor): boolean {
  if (who.kind === 'customer') return state.customer.id === who.id;
  if (who.kind === 'system' || who.role === 'admin') return true;
  return state.agent?.id === who.id || state.target === who.id || (who.groups ?? []).includes(state.group);
}

/** Whether an event of this type may be seen by this reader; what may not is sent as `hidden`. */
export function maySee(type: string, reader: SenderKind): boolean {
  return type !== 'note' || reader !== 'customer';
}

function participates(state: SessionState, who: Actor): boolean {
  return who.kind === 'customer' ? state.customer.id === who.id : state.agent?.id === who.id;
}

function mayManage(state: SessionState, who: Actor): boolean {
  return who.kind === 'system' || who.role === 'admin' || participates(state, who);
}

const notParticipant = refuse('not_participant', 'you are not a participant of this session');

/** Turns a command into the events that it causes, or a refusal that changes nothing. `state` is undefined before `open`. */
export function decide(command: Command, state: SessionState | undefined, who: Actor): Decision {
  if (state === undefined) {
    if (command.type !== 'open') return refuse('not_found', 'there is no such session');
    const { customer, group, channel, subject, attributes, lastAgent, previous } = command;
    const opened = { type: 'opened', customer, group, channel, subject, attributes } as const;
    return { events: [{ ...opened, last_agent: lastAgent, previous }] };
  }
  switch (command.type) {
    case 'open':
      return refuse('conflict', 'this session is open already');
    case 'say':
      if (!participates(state, who)) return notParticipant;
      if (state.state === 'closed') return refuse('invalid_transition', 'the session is closed');
      return { events: [{ type: 'message', id: command.id, body: command.body }] };
    case 'assign':
      return decideAssign(command.agent, state, who);
    case 'transfer':
      return decideTransfer(command, state, who);
    case 'requeue':
      if (who.kind !== 'system') return refuse('forbidden', 'only the system returns a session to the queue');
      if (state.state !== 'chatting' || state.agent?.id !== command.agent)
        return refuse('invalid_transition', 'the session is not with that agent');
      return { events: [{ type: 'transferring', to: { group: state.group }, reason: command.reason }] };
    case 'retarget':
      if (who.kind !== 'system') return refuse('forbidden', 'only the system does that');
      if (state.state !== 'transferring' || state.target === null)
        return refuse('invalid_transition', 'the session is not on its way to an agent');
      return { events: [{ type: 'retargeted', to: { group: state.group } }] };
    case 'close':
      if (!mayManage(state, who)) return notParticipant;
      if (state.state === 'closed') return refuse('invalid_transition', 'the session is closed already');
      return { events: [{ type: 'closed', reason: command.reason }] };
    case 'rate':
      if (who.kind !== 'customer' || !participates(state, who)) return notParticipant;
      if (state.state !== 'closed')
        return refuse('invalid_transition', 'a session can be rated after it was closed');
      if (state.rated) return refuse('conflict', 'the session has been rated already');
      return { events: [{ type: 'rated', score: command.score, comment: command.comment }] };
  }
}

function decideAssign(agent: Person, state: SessionState, who: Actor): Decision {
  if (who.kind !== 'system') return refuse('forbidden', 'only a queue assigns sessions');
  if (state.state !== 'waiting' && state.state !== 'transferring')
    return refuse('invalid_transition', `a session that is ${state.state} can't be assigned`);
  if (state.target !== null && state.target !== agent.id)
    return refuse('conflict', 'the session is on its way to another agent');
  return { events: [{ type: 'assigned', agent }] };
}

function decideTransfer(
  command: Extract<Command, { type: 'transfer' }>,
  state: SessionState,
  who: Actor,
): Decision {
  if (who.kind === 'customer') return refuse('forbidden', 'a customer can’t transfer a session');
  if (!mayManage(state, who)) return notParticipant;
  if (state.state !== 'chatting')
    return refuse('invalid_transition', `a session that is ${state.state} can't be transferred`);
  if (command.to.agent !== undefined && command.to.agent === state.agent?.id)
    return refuse('conflict', 'the session is with that agent already');
  const events: EventBody[] = [];
  if (command.note !== null && command.note !== '') events.push({ type: 'note', text: command.note });
  events.push({ type: 'transferring', to: command.to, reason: 'transfer' });
  return { events };
}

function target(to: TransferTarget, state: SessionState): Pick<SessionState, 'group' | 'target'> {
  return { group: to.group ?? state.group, target: to.agent ?? null };
}

/** The state after an event. Total: an event in the log has happened, whatever it is. */
export function evolve(state: SessionState | undefined, event: SessionEvent, id: string): SessionState {
  if (event.type === 'opened') {
    return {
      id,
      state: 'waiting',
      customer: event.customer,
      agent: null,
      group: event.group,
      channel: event.channel,
      subject: event.subject,
      attributes: event.attributes,
      priority: 0,
      target: null,
      lastAgent: event.last_agent,
      waitingSince: event.at,
      openedAt: event.at,
      closedAt: null,
      rated: false,
      previous: event.previous ?? null,
      lastSeq: event.seq,
    };
  }
  if (state === undefined)
    throw new Error(`event ${event.seq} of type ${event.type} before the session was opened`);
  const lastSeq = event.seq;
  switch (event.type) {
    case 'message':
    case 'note':
      return { ...state, lastSeq };
    case 'assigned':
      return {
        ...state,
        lastSeq,
        state: 'chatting',
        agent: event.agent,
        target: null,
        lastAgent: event.agent.id,
      };
    case 'transferring':
      return {
        ...state,
        lastSeq,
        ...target(event.to, state),
        state: 'transferring',
        agent: null,
        priority: 1,
        waitingSince: event.at,
      };
    case 'retargeted':
      return { ...state, lastSeq, ...target(event.to, state) };
    case 'closed':
      return { ...state, lastSeq, state: 'closed', agent: state.agent, target: null, closedAt: event.at };
    case 'rated':
      return { ...state, lastSeq, rated: true };
  }
}
