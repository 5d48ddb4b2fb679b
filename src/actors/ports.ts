import type { EventOut } from '../protocol/session-view.ts';
import type { SessionState } from '../rules/session.ts';
import type { AgentProfile, Fence, Presence, WaitingEntry } from './messages.ts';

/** What the actors need of the world, adapted by src/store. Rejections are KefuErrors: `unavailable` can be retried. */

export interface AppendRequest {
  readonly session: string;
  /** Which life of the session's actor asks: one that crashed must not settle its successor's events. */
  readonly instance: number;
  /**
   * What `fenceOf` said of the session when the actor began to load it. One that was evicted with a handler in flight
   * may go on when its thread has the shard again, beside its successor: it must not write under the new epoch.
   */
  readonly term: Fence;
  readonly events: readonly EventOut[];
  /** The state after the last of them; absent when only messages were added, which the sessions index does not show. */
  readonly state: SessionState | undefined;
  /** Epochs of other shards that must hold at the commit too: a reservation's, a customer's. */
  readonly fence: Fence | undefined;
}

export interface Journal {
  /**
   * Takes the events into the next transaction. The outcome comes to the session actor as `committed` or `failed`,
   * in the order of the appends. False: not taken, nothing will happen (`unavailable`: the database is gone or the queue full).
   */
  append(request: AppendRequest): boolean;
  /**
   * The session has heard that its events failed, and decides on what is committed again. Until then nothing of it is
   * taken: what it decided meanwhile stands on events that will never be.
   */
  heard(session: string): void;
  /** Settles when no event of this session is on its way to the database; at once in the usual case. For a new instance. */
  idle(session: string): Promise<void> | undefined;
  /** The epoch under which this thread owns a shard; asked for once, when an actor begins to load. */
  fenceOf(key: string): Fence;
  /**
   * Whether this thread owns the key now, so that what it knows is the newest: settles after a look at the database.
   * undefined: nobody else could own it, no need to look.
   */
  confirm(key: string): Promise<boolean> | undefined;
}

export interface History {
  /** What is remembered of a session that was erased. */
  forget(session: string): void;
  /** Remembers committed events as hot. */
  keep(session: string, events: readonly EventOut[]): void;
  /** Events with after < seq ≤ upTo, in order, at most `limit`; hot ones at once, else from the database. */
  range(
    session: string,
    after: number,
    upTo: number,
    limit: number,
  ): readonly EventOut[] | Promise<readonly EventOut[]>;
  /** Calls back for every message of a session, in order: what builds the table of ids. Only a closed one may be in the archive. */
  messageIds(
    session: string,
    isClosed: boolean,
    each: (seq: number, sender: string, id: string) => void,
  ): Promise<void>;
}

export interface Sessions {
  load(session: string): Promise<SessionState | undefined>;
  /** A customer's open session, its last one that was closed, and its last agent. */
  ofCustomer(
    customer: string,
  ): Promise<{ open: string | null; last: string | null; lastAgent: string | null }>;
  heldBy(agent: string): Promise<readonly string[]>;
  /** In the queue's order, at most `limit`. */
  waitingIn(group: string, limit: number): Promise<readonly WaitingEntry[]>;
}

export interface Directory {
  agent(id: string): Promise<AgentProfile | undefined>;
  agentsIn(group: string): Promise<readonly string[]>;
  savePresence(agent: string, presence: Presence): Promise<void>;
  groupExists(group: string): Promise<boolean>;
}
