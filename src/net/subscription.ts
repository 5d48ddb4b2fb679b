import type { Refusal } from '../core/errors.ts';
import type { EventOut, SessionView } from '../protocol/session-view.ts';
import type { Ref } from './frames-in.ts';

/** One connection's place in one session. */
export class Subscription {
  readonly session: string;
  /** What the first snapshot is to begin after. */
  readonly after: number | 'tail' | 'head';
  /** The last seq that this connection has; what follows is sent when its turn comes. */
  lastSeq = 0;
  /** The session's newest event that is known of. */
  head = 0;
  /** Asked for a snapshot or a page, which has not come yet. */
  asking = true;
  /** Ticks since it was asked for: question and answer may be lost on their way. */
  askedTicks = 0;
  /** The snapshot has come: events may be sent. */
  live = false;
  /** Ids of messages said here and not acked: their event leaves as an ack. */
  #said: Map<string, Ref | undefined | Waiting> | undefined;
  /** This agent's hold is over: told after the event of that seq. */
  released: { readonly reason: string; readonly seq: number } | undefined;
  /** A frame that came before the session was told of. */
  early: object | undefined;
  /** Something could not be asked for: tried again at the next tick. */
  retry = false;
  /** Called with the first snapshot, or with why there is none. */
  ready: ((result: Snapshot | Refusal) => void) | undefined;

  /** Subscribed again since the last snapshot. */
  inVain = 0;

  constructor(session: string, after: number | 'tail' | 'head') {
    this.session = session;
    this.after = after;
  }

  get saidCount(): number {
    return this.#said?.size ?? 0;
  }

  /** Remembers whom to answer; the same id may be said again before its answer. */
  said(id: string, ref: Ref | undefined): void {
    this.#said ??= new Map();
    const before = this.#said.get(id);
    if (!this.#said.has(id)) this.#said.set(id, ref);
    else if (before instanceof Waiting) before.refs.push(ref);
    else this.#said.set(id, new Waiting([before, ref]));
  }

  /** Takes the newest ref that waits for this id: the ones before it may still be on their way. */
  refused(id: string): { readonly ref: Ref | undefined } | undefined {
    if (this.#said === undefined || !this.#said.has(id)) return undefined;
    const waiting = this.#said.get(id);
    if (!(waiting instanceof Waiting)) {
      this.#said.delete(id);
      return { ref: waiting };
    }
    const ref = waiting.refs.pop();
    if (waiting.refs.length === 0) this.#said.delete(id);
    return { ref };
  }

  /** Takes the refs that wait for this id; undefined when none do. */
  answered(id: string): (Ref | undefined)[] | undefined {
    if (this.#said === undefined || !this.#said.has(id)) return undefined;
    const waiting = this.#said.get(id);
    this.#said.delete(id);
    return waiting instanceof Waiting ? waiting.refs : [waiting];
  }
}

/** Several answers for one id; a class, to be told apart from a ref. */
class Waiting {
  readonly refs: (Ref | undefined)[];

  constructor(refs: (Ref | undefined)[]) {
    this.refs = refs;
  }
}

export interface Snapshot {
  readonly view: SessionView;
  readonly events: readonly EventOut[];
  readonly from: number;
  readonly head: number;
  readonly reset: boolean;
  readonly marks: { readonly customer?: number; readonly agent?: number };
}
