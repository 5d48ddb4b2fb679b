import type { Refusal } from '../core/errors.ts';
import type { EventOut, SessionView } from '../protocol/session-view.ts';
import type { Candidate, Waiting } from '../rules/assignment.ts';
import type { Actor, Attributes, Person, TransferTarget } from '../rules/session.ts';
import type { KindName, ThreadId } from './engine/types.ts';

/** What the actors say to each other. Plain data: it crosses threads by structured clone, and nodes by msgpack. */

/** A shard's epoch that must still hold when a transaction commits: whoever promised something still owns it. */
export interface Fence {
  readonly shard: number;
  readonly epoch: number;
}

/** A connection's address: the thread that has its socket, and its number there. */
export interface Peer {
  readonly thread: ThreadId;
  readonly conn: number;
}

export interface OpenRequest {
  readonly customer: Person;
  readonly group: string;
  readonly channel: string;
  readonly subject: string | null;
  readonly attributes: Attributes;
}

/** A thread is gone, and with it its connections: whoever counts them forgets them. */
export interface ThreadLost {
  readonly type: 'threadLost';
  readonly thread: ThreadId;
}

export type SessionMessage =
  /** ask → SessionView */
  | ({
      readonly type: 'open';
      readonly lastAgent: string | null;
      readonly previous: string | null;
      readonly fence: Fence;
    } & OpenRequest)
  /** Events after `after` follow to this connection; 'tail': the last five first; 'head': only new ones. Answered to the gateway by `snapshot`. */
  | {
      readonly type: 'subscribe';
      readonly peer: Peer;
      readonly who: Actor;
      readonly after: number | 'tail' | 'head';
    }
  | { readonly type: 'unsubscribe'; readonly peer: Peer }
  /** More events after `after`, for a connection that saw a gap or was behind. Answered by `page`. */
  | { readonly type: 'replay'; readonly peer: Peer; readonly after: number }
  /** From a subscribed connection; the event that follows is the ack, refusals and repeats are answered to the gateway. */
  | { readonly type: 'say'; readonly peer: Peer; readonly id: string; readonly body: unknown }
  /** ask → Said */
  | { readonly type: 'post'; readonly who: Actor; readonly id: string; readonly body: unknown }
  | { readonly type: 'typing'; readonly peer: Peer }
  | { readonly type: 'read'; readonly peer: Peer; readonly seq: number }
  /** ask → SessionView */
  | { readonly type: 'close'; readonly who: Actor; readonly reason: string }
  | {
      readonly type: 'transfer';
      readonly who: Actor;
      readonly to: TransferTarget;
      readonly note: string | null;
    }
  | { readonly type: 'rate'; readonly who: Actor; readonly score: number; readonly comment: string | null }
  /** ask from a queue → SessionView. The agent is asked first whether its promise still stands. */
  | { readonly type: 'assign'; readonly agent: Person }
  /** The agent's word on that, back in the session's own order. */
  | {
      readonly type: 'promised';
      readonly instance: number;
      readonly ticket: number;
      readonly fence: Fence | Refusal;
    }
  | { readonly type: 'requeue'; readonly agent: string; readonly reason: string }
  | { readonly type: 'retarget' }
  /** Its rows are gone, or about to go. */
  | { readonly type: 'erased' }
  /** ask → Holder. An agent that is told "not yours" will not be assigned by a promise of before. */
  | { readonly type: 'holder' }
  /** ask → SessionView */
  | { readonly type: 'view'; readonly who: Actor }
  /** ask → HistoryPage */
  | {
      readonly type: 'history';
      readonly who: Actor;
      readonly before?: number;
      readonly after?: number;
      readonly limit: number;
    }
  | {
      readonly type: 'position';
      readonly position: number;
      readonly ahead: number;
      readonly etaMs: number | null;
    }
  | ThreadLost
  /** A timer: connections on other nodes are told the newest seq. */
  | { readonly type: 'heads' }
  /** From the journal: the first `count` events of this instance that were not yet settled are in the database. */
  | { readonly type: 'committed'; readonly instance: number; readonly count: number }
  /** From the journal: none of the unsettled events is in the database, nor will be. */
  | { readonly type: 'failed'; readonly instance: number; readonly refusal: Refusal };

export interface Said {
  readonly seq: number;
  readonly at: number;
  readonly repeat: boolean;
}

export interface Holder {
  /** Of the newest event, on its way to the database or in it. */
  readonly seq: number;
  readonly agent: string | null;
  readonly state: string;
}

export interface HistoryPage {
  readonly events: readonly EventOut[];
  readonly more: boolean;
}

export interface Marks {
  readonly customer?: number;
  readonly agent?: number;
}

/** To the gateway of one thread, which has its connections. */
export type GatewayMessage =
  | {
      readonly type: 'events';
      readonly session: string;
      readonly conns: readonly number[];
      readonly events: readonly EventOut[];
    }
  | {
      readonly type: 'snapshot';
      readonly session: string;
      readonly conn: number;
      readonly view: SessionView;
      /** Already filtered to what follows `from`; `from` is the seq before the first. */
      readonly events: readonly EventOut[];
      readonly from: number;
      readonly head: number;
      readonly reset: boolean;
      readonly marks: Marks;
    }
  | {
      readonly type: 'page';
      readonly session: string;
      readonly conn: number;
      readonly events: readonly EventOut[];
      readonly after: number;
      readonly head: number;
    }
  /** The subscription, or a page of it, could not be had. */
  | {
      readonly type: 'missed';
      readonly session: string;
      readonly conn: number;
      readonly refusal: Refusal;
    }
  | {
      readonly type: 'said';
      readonly session: string;
      readonly conn: number;
      readonly id: string;
      readonly seq: number;
      readonly at: number;
    }
  | {
      readonly type: 'refused';
      readonly session: string;
      readonly conn: number;
      readonly id: string;
      readonly refusal: Refusal;
    }
  /** How far the log goes: an event may have been lost on the way. */
  | {
      readonly type: 'head';
      readonly session: string;
      readonly conns: readonly number[];
      readonly head: number;
    }
  /** The session does not know this connection, having moved or started anew: subscribe, then say it again. */
  | {
      readonly type: 'stranger';
      readonly session: string;
      readonly conn: number;
      readonly id: string;
      readonly body: unknown;
    }
  /** A ready frame for some connections: typing, read, queue positions, presence. */
  | { readonly type: 'frame'; readonly conns: readonly number[]; readonly frame: object }
  | { readonly type: 'assigned'; readonly conns: readonly number[]; readonly session: string }
  | {
      readonly type: 'released';
      readonly conns: readonly number[];
      readonly session: string;
      readonly reason: string;
      /** Told after the event of this seq. */
      readonly seq: number;
    }
  | { readonly type: 'supersede'; readonly conn: number }
  /** An actor started anew and knows nobody: whoever is subscribed to it comes again. */
  | { readonly type: 'restarted'; readonly kind: string; readonly key: string }
  /** ask → the thread's metrics as prom-client JSON. */
  | { readonly type: 'metrics' };

export type Presence = 'online' | 'busy' | 'away' | 'offline';

export interface AgentProfile {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly kind: 'agent' | 'bot';
  readonly role: 'agent' | 'admin';
  readonly groups: readonly string[];
  readonly capacity: number;
  readonly presence: Presence;
}

export type AgentMessage =
  /** ask → Connected. `held`: sessions that the connection was told are this agent's */
  | { readonly type: 'connect'; readonly peer: Peer; readonly held?: readonly string[] }
  | { readonly type: 'disconnect'; readonly peer: Peer }
  /** ask → null */
  | { readonly type: 'presence'; readonly state: Presence }
  /** ask from a queue → Reservation */
  | { readonly type: 'reserve'; readonly session: string }
  /** ask from a session that is about to be assigned → Fence, under which the promise holds */
  | { readonly type: 'promise'; readonly session: string }
  | { readonly type: 'unreserve'; readonly session: string }
  /** From itself: the session of that very reservation was asked, and is not this agent's. */
  | { readonly type: 'lapsed'; readonly session: string; readonly slot: object }
  /** From a session, after the commit. */
  | { readonly type: 'held'; readonly session: string; readonly seq: number }
  | { readonly type: 'gone'; readonly session: string; readonly reason: string; readonly seq: number }
  /** From a queue that has just started: report yourself. */
  | { readonly type: 'report'; readonly group: string }
  /** ask → AgentStatus */
  | { readonly type: 'status' }
  | { readonly type: 'waiting'; readonly frame: object }
  | ThreadLost
  | { readonly type: 'graceOver' }
  | { readonly type: 'checkReservations' }
  | { readonly type: 'reconcile' }
  /** What a look at the tables or at a session found: sessions that are not this agent's after all, and ones that are. */
  | { readonly type: 'found'; readonly held: readonly Sighting[]; readonly lost: readonly Sighting[] };

/** What a session said of its holder, and its last event then: what it says later bears a higher seq. */
export interface Sighting {
  readonly session: string;
  readonly seq: number;
}

export interface Connected {
  readonly profile: AgentProfile;
  readonly sessions: readonly string[];
}

export type Reservation =
  | { readonly granted: true; readonly agent: Person }
  | { readonly granted: false; readonly status: Candidate };

export interface AgentStatus {
  readonly presence: Presence;
  readonly open: number;
  readonly capacity: number;
}

export interface WaitingView {
  readonly id: string;
  readonly customer: Person;
  readonly subject: string | null;
  readonly since: number;
  readonly state: string;
}

export type WaitingEntry = Waiting & { readonly view: WaitingView };

export type QueueMessage =
  | { readonly type: 'enqueue'; readonly entry: WaitingEntry }
  | { readonly type: 'dequeue'; readonly session: string; readonly served: boolean }
  | { readonly type: 'agent'; readonly status: Candidate }
  /** An agent's first desk has connected, or its last one left: whether it is told who waits. */
  | { readonly type: 'watch'; readonly agent: string; readonly on: boolean }
  /** A waiting customer has come back: tell its place again. */
  | { readonly type: 'where'; readonly session: string }
  /** ask → {count, sessions} */
  | { readonly type: 'peek'; readonly limit: number }
  | {
      readonly type: 'settled';
      readonly session: string;
      readonly agent: string;
      readonly outcome: 'assigned' | 'declined' | 'refused' | 'unknown';
      readonly status?: Candidate;
    }
  | { readonly type: 'tick' }
  | { readonly type: 'reconciled'; readonly entries: readonly WaitingEntry[]; readonly startedAt: number };

export type CustomerMessage =
  /** ask → Opened */
  | ({ readonly type: 'open' } & OpenRequest)
  /** ask → the open session's id or null */
  | { readonly type: 'current' }
  | { readonly type: 'closed'; readonly session: string };

export interface Opened {
  readonly session: SessionView;
  readonly existed: boolean;
}

/** The kinds' names. A node of a newer version may send what this one does not know: that is refused, not acted on. */
export const sessionKind = named<SessionMessage>('session', {
  open: true,
  subscribe: true,
  unsubscribe: true,
  replay: true,
  say: true,
  post: true,
  typing: true,
  read: true,
  close: true,
  transfer: true,
  rate: true,
  assign: true,
  promised: true,
  requeue: true,
  retarget: true,
  erased: true,
  holder: true,
  view: true,
  history: true,
  position: true,
  heads: true,
  committed: true,
  failed: true,
  threadLost: true,
});

export const agentKind = named<AgentMessage>('agent', {
  connect: true,
  disconnect: true,
  presence: true,
  reserve: true,
  promise: true,
  unreserve: true,
  lapsed: true,
  held: true,
  gone: true,
  report: true,
  status: true,
  waiting: true,
  graceOver: true,
  checkReservations: true,
  reconcile: true,
  found: true,
  threadLost: true,
});

export const queueKind = named<QueueMessage>('queue', {
  enqueue: true,
  dequeue: true,
  agent: true,
  watch: true,
  where: true,
  peek: true,
  settled: true,
  tick: true,
  reconciled: true,
});

export const customerKind = named<CustomerMessage>('customer', {
  open: true,
  current: true,
  closed: true,
});

/** One a thread, its key is the thread's id: the door to the connections there. */
export const gatewayKind = named<GatewayMessage>('gateway', {
  events: true,
  snapshot: true,
  page: true,
  missed: true,
  said: true,
  refused: true,
  head: true,
  stranger: true,
  frame: true,
  assigned: true,
  released: true,
  supersede: true,
  restarted: true,
  metrics: true,
});

function named<M extends { readonly type: string }>(
  kind: string,
  types: Readonly<Record<M['type'], true>>,
): KindName<M> {
  return { kind, knows: ({ type }) => Object.hasOwn(types, type) };
}
