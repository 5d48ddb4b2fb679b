import type { SessionState } from '../rules/session.ts';
import type { System } from './engine/types.ts';
import { gatewayKind, queueKind, type Marks, type Peer } from './messages.ts';
import type { Subscribers } from './subscribers.ts';

interface Place {
  readonly position: number;
  readonly ahead: number;
  readonly etaMs: number | null;
}

/** What passes through a session and is not kept: who is typing, how far each side has read, the place in the queue. */
export class SessionPassing {
  readonly #system: System;
  readonly #id: string;
  readonly #subscribers: Subscribers;
  #place: Place | undefined;
  #marks: Marks = {};

  constructor(system: System, id: string, subscribers: Subscribers) {
    this.#system = system;
    this.#id = id;
    this.#subscribers = subscribers;
  }

  get marks(): Marks {
    return this.#marks;
  }

  typing(peer: Peer): void {
    const subscriber = this.#subscribers.get(peer);
    if (subscriber === undefined) return;
    const from = { kind: subscriber.who.kind, id: subscriber.who.id, name: subscriber.who.name };
    this.#subscribers.tellFrame(
      { t: 'typing', session: this.#id, from },
      (other) => other.who.id !== from.id,
    );
  }

  /** `head` is the newest event that there is. */
  read(peer: Peer, seq: number, head: number): void {
    const subscriber = this.#subscribers.get(peer);
    if (subscriber === undefined || seq > head) return;
    const side = subscriber.who.kind === 'customer' ? 'customer' : 'agent';
    if (seq <= (this.#marks[side] ?? 0)) return;
    this.#marks = { ...this.#marks, [side]: seq };
    const from = { kind: subscriber.who.kind, id: subscriber.who.id, name: subscriber.who.name };
    this.#subscribers.tellFrame(
      { t: 'read', session: this.#id, from, seq },
      (_other, to) => to.conn !== peer.conn || to.thread !== peer.thread,
    );
  }

  position({ position, ahead, etaMs }: Place, state: SessionState | undefined): void {
    if (!waits(state)) return;
    this.#place = { position, ahead, etaMs };
    this.#subscribers.tellFrame(this.#queueFrame(this.#place), (other) => other.who.kind === 'customer');
  }

  /** The session's state has changed: who does not wait any more has no place. */
  changed(state: SessionState): void {
    if (!waits(state)) this.#place = undefined;
  }

  tellPosition(peer: Peer, state: SessionState): void {
    if (this.#place === undefined) {
      // This actor has started anew since the queue told it.
      if (waits(state)) this.#system.ref(queueKind, state.group).tell({ type: 'where', session: this.#id });
      return;
    }
    const frame = this.#queueFrame(this.#place);
    this.#system.ref(gatewayKind, peer.thread).tell({ type: 'frame', conns: [peer.conn], frame });
  }

  #queueFrame({ position, ahead, etaMs }: Place): object {
    const frame = { t: 'queue', session: this.#id, position, ahead };
    return etaMs === null ? frame : { ...frame, eta_ms: etaMs };
  }
}

function waits(state: SessionState | undefined): boolean {
  return state?.state === 'waiting' || state?.state === 'transferring';
}
