import type { Actor } from '../rules/session.ts';
import type { Ref, System, ThreadId } from './engine/types.ts';
import { gatewayKind, type GatewayMessage, type Peer } from './messages.ts';

export interface Subscriber {
  readonly who: Actor;
  /** `who` as the `from` of an event, encoded once a subscription instead of once a message. */
  readonly fromJson: string;
}

interface Thread {
  readonly gateway: Ref<GatewayMessage>;
  readonly conns: Map<number, Subscriber>;
  /** The keys of `conns`, kept because each event needs them. */
  numbers: number[];
}

/** The connections that follow a session, by the thread that has their sockets: one message a thread, not a connection. */
export class Subscribers {
  readonly #system: System;
  readonly #threads = new Map<ThreadId, Thread>();

  constructor(system: System) {
    this.#system = system;
  }

  get size(): number {
    let size = 0;
    for (const thread of this.#threads.values()) size += thread.conns.size;
    return size;
  }

  add(peer: Peer, who: Actor): void {
    let thread = this.#threads.get(peer.thread);
    if (thread === undefined) {
      thread = { gateway: this.#system.ref(gatewayKind, peer.thread), conns: new Map(), numbers: [] };
      this.#threads.set(peer.thread, thread);
    }
    thread.conns.set(peer.conn, { who, fromJson: senderJson(who) });
    thread.numbers = [...thread.conns.keys()];
  }

  remove(peer: Peer): void {
    const thread = this.#threads.get(peer.thread);
    if (thread === undefined || !thread.conns.delete(peer.conn)) return;
    thread.numbers = [...thread.conns.keys()];
    if (thread.conns.size === 0) this.#threads.delete(peer.thread);
  }

  removeThread(thread: ThreadId): void {
    this.#threads.delete(thread);
  }

  get(peer: Peer): Subscriber | undefined {
    return this.#threads.get(peer.thread)?.conns.get(peer.conn);
  }

  /** To every thread that has subscribers; `message` is made from the numbers of its connections. */
  tellAll(
    message: (conns: readonly number[]) => GatewayMessage,
    isMeant?: (thread: ThreadId) => boolean,
  ): void {
    for (const [id, thread] of this.#threads)
      if (isMeant === undefined || isMeant(id)) thread.gateway.tell(message(thread.numbers));
  }

  /** Whether there are subscribers on such a thread. */
  some(isMeant: (thread: ThreadId) => boolean): boolean {
    for (const id of this.#threads.keys()) if (isMeant(id)) return true;
    return false;
  }

  /** A frame to all but one, or only to those of one kind. */
  tellFrame(frame: object, keep: (subscriber: Subscriber, peer: Peer) => boolean): void {
    for (const [id, thread] of this.#threads) {
      const conns: number[] = [];
      for (const [conn, subscriber] of thread.conns) {
        if (keep(subscriber, { thread: id, conn })) conns.push(conn);
      }
      if (conns.length > 0) thread.gateway.tell({ type: 'frame', conns, frame });
    }
  }
}

export function senderJson(who: { kind: string; id: string; name: string }): string {
  return JSON.stringify({ kind: who.kind, id: who.id, name: who.name });
}
