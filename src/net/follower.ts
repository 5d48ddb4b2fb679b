import { KefuError, refusal, type Refusal } from '../core/errors.ts';
import { timeText, type EventOut } from '../protocol/session-view.ts';
import { maySee, type Actor } from '../rules/session.ts';
import type { Codec } from './codec.ts';
import { EventFrames, visibleEvent } from './event-frames.ts';
import type { Ref } from './frames-in.ts';
import { Subscription, type Snapshot } from './subscription.ts';

/** What following needs of its connection: methods of it, since a closure for each would cost every connection a kilobyte. */
export interface FollowerPort {
  readonly codec: Codec;
  /** Asked for only when events are sent: known by then. */
  who(): Actor;
  isGone(): boolean;
  send(frame: object): void;
  write(data: string | Uint8Array): void;
  /** All that `work` sends leaves in one system call. */
  cork(work: () => void): void;
  /** Bytes that the peer has not taken yet. */
  buffered(): number;
  error(ref: Ref | undefined, why: Refusal): void;
  /** To a session, about this connection; false when it was not taken. */
  subscribe(session: string, after: number | 'tail' | 'head'): boolean;
  replay(session: string, after: number): boolean;
  unsubscribe(session: string): void;
  count(what: 'delivered' | 'behind'): void;
}

/**
 * The sessions that one connection follows. Each session's events leave in the order of seq, each once: what comes
 * early waits for what is missing, what was sent is dropped. A message said here leaves as its ack in its event's
 * place. When the peer reads too slowly nothing is kept for it: it is behind, and catches up from history.
 */
export class Follower {
  readonly #port: FollowerPort;
  readonly #outputBytes: number;
  readonly #subs = new Map<string, Subscription>();
  /** What was asked of these has not come yet, or could not be asked; each second only they are looked at. */
  #unanswered: Set<Subscription> | undefined;
  #behind = false;

  constructor(port: FollowerPort, outputBytes: number) {
    this.#port = port;
    this.#outputBytes = outputBytes;
  }

  get isBehind(): boolean {
    return this.#behind;
  }

  get(session: string): Subscription | undefined {
    return this.#subs.get(session);
  }

  /** Subscribes, and settles with the snapshot; undefined when the session is not to be seen. Events wait for `begin`. */
  follow(session: string, after: number | 'tail' | 'head'): Promise<Snapshot | undefined> {
    const sub = new Subscription(session, after);
    this.#subs.set(session, sub);
    this.#await(sub);
    return new Promise((resolve, reject) => {
      sub.ready = (result) => {
        sub.ready = undefined;
        if (!('code' in result)) return resolve(result);
        this.#subs.delete(session);
        if (result.code === 'not_found') resolve(undefined);
        else reject(KefuError.from(result));
      };
      if (!this.#port.subscribe(session, after)) sub.ready(sessionBusy);
    });
  }

  /** Sends what the snapshot holds; from here on the session's events flow. */
  begin(session: string, snapshot: Snapshot | undefined): void {
    const sub = this.#subs.get(session);
    if (sub === undefined || snapshot === undefined || this.#port.isGone()) return;
    if (snapshot.reset) this.#port.send({ t: 'reset', session });
    sub.lastSeq = snapshot.from;
    sub.head = Math.max(sub.head, snapshot.head);
    sub.live = true;
    sub.asking = false;
    // What ended the hold may have been told before this was followed: the session knows.
    if (!mayHold(this.#port.who(), snapshot)) sub.released ??= releasedBy(snapshot);
    this.#advance(sub, new EventFrames(snapshot.events));
    this.#catchUp(sub);
    if (sub.early !== undefined) this.#port.send(sub.early);
    sub.early = undefined;
  }

  /** A snapshot has come: the first one, or what was missed while the session moved or started anew. */
  snapshot(session: string, snapshot: Snapshot): void {
    const sub = this.#subs.get(session);
    if (sub !== undefined) sub.inVain = 0;
    if (sub?.ready !== undefined) return sub.ready(snapshot);
    if (sub === undefined) return this.#port.unsubscribe(session);
    if (!sub.live) return;
    sub.asking = false;
    sub.head = Math.max(sub.head, snapshot.head);
    this.#port.cork(() => {
      if (snapshot.reset) {
        this.#port.send({ t: 'reset', session });
        sub.lastSeq = 0;
      }
      this.#advance(sub, new EventFrames(snapshot.events));
      this.#catchUp(sub);
    });
  }

  events(session: string, frames: EventFrames): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    const last = frames.events.at(-1)!.seq;
    if (last > sub.head) sub.head = last;
    if (!sub.live || this.#behind) return;
    // One write for all of them; a single frame needs no cork.
    if (frames.events.length === 1) this.#advance(sub, frames);
    else this.#port.cork(() => this.#advance(sub, frames));
    if (sub.lastSeq < sub.head) this.#catchUp(sub);
  }

  /** The log goes so far: what is missing is asked for. */
  headIs(session: string, head: number): void {
    const sub = this.#subs.get(session);
    if (sub === undefined || !sub.live || head <= sub.head) return;
    sub.head = head;
    this.#catchUp(sub);
  }

  page(session: string, events: readonly EventOut[], head: number): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    sub.asking = false;
    sub.head = Math.max(sub.head, head);
    this.#port.cork(() => {
      this.#advance(sub, new EventFrames(events));
      this.#catchUp(sub);
    });
  }

  /** A snapshot or a page could not be had. */
  missed(session: string, why: Refusal): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    if (sub.ready !== undefined) return sub.ready(why);
    sub.asking = false;
    if (why.code !== 'not_found') this.#retry(sub);
    // It does not know this connection, or will not: what may not be seen any more is not followed any more.
    else if (!this.again(session)) this.#lose(sub);
  }

  /** These sessions' actors started anew and do not know this connection. */
  restarted(lost: (session: string) => boolean): void {
    for (const sub of this.#subs.values()) if (lost(sub.session)) this.#resubscribe(sub);
  }

  /** This session does not know the connection; false: it is not followed here, or has been asked too often in vain. */
  again(session: string): boolean {
    const sub = this.#subs.get(session);
    if (sub === undefined || sub.inVain >= inVainMax) return false;
    sub.inVain += 1;
    this.#resubscribe(sub);
    return true;
  }

  /** Once a second or so: tries again what could not be had. */
  tick(): void {
    this.drained();
    const unanswered = this.#unanswered;
    if (unanswered === undefined) return;
    for (const sub of unanswered) {
      const isGone = this.#subs.get(sub.session) !== sub;
      if (isGone || (!sub.asking && !sub.retry)) {
        unanswered.delete(sub);
        continue;
      }
      sub.askedTicks += 1;
      if (!sub.retry && sub.askedTicks < answerTicks) continue;
      sub.retry = false;
      this.#resubscribe(sub);
    }
    if (unanswered.size === 0) this.#unanswered = undefined;
  }

  /** The peer has taken some of what was buffered. */
  drained(): void {
    if (!this.#behind || this.#port.buffered() > this.#outputBytes / 2) return;
    this.#behind = false;
    for (const sub of this.#subs.values()) if (sub.live) this.#catchUp(sub);
  }

  /** The sessions that an agent was told are its own, or is about to be. */
  held(): string[] {
    return [...this.#subs.values()].filter((sub) => sub.released === undefined).map((sub) => sub.session);
  }

  drop(session: string): void {
    this.#subs.delete(session);
    this.#port.unsubscribe(session);
  }

  dropAll(): void {
    for (const session of this.#subs.keys()) this.drop(session);
  }

  // ---- an agent's sessions

  /** True when it was not followed yet: the frame is sent as soon as the session’s last events are here. */
  async assigned(session: string): Promise<void> {
    const old = this.#subs.get(session);
    if (old !== undefined) {
      if (old.released === undefined) return;
      this.#letGo(old);
    }
    const snapshot = await this.follow(session, 'tail');
    if (snapshot === undefined || this.#port.isGone() || !this.#subs.has(session)) return;
    if (!mayHold(this.#port.who(), snapshot)) return this.drop(session);
    const { view, events } = snapshot;
    this.#port.cork(() => {
      this.#port.send({
        t: 'assigned',
        session: view,
        customer: view.customer,
        events: events.map((event) => visibleEvent(event, this.#port.who().kind)),
      });
      this.begin(session, { ...snapshot, from: snapshot.from + events.length, events: [] });
    });
  }

  /** The session is not this agent's any more; told after the event of that seq. */
  released(session: string, reason: string, seq: number): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    sub.released = { reason, seq };
    if (!sub.live) return;
    if (sub.lastSeq >= seq) return this.#letGo(sub);
    sub.head = Math.max(sub.head, seq);
    this.#catchUp(sub);
  }

  #lose(sub: Subscription): void {
    if (this.#port.who().kind === 'customer') return this.drop(sub.session);
    sub.released ??= { reason: 'moved', seq: sub.lastSeq };
    this.#letGo(sub);
  }

  #letGo(sub: Subscription): void {
    this.#port.send({ t: 'released', session: sub.session, reason: sub.released!.reason });
    this.drop(sub.session);
  }

  // ---- answers to what was said

  /** The message had been there already. */
  said(session: string, id: string, seq: number, at: number): void {
    const refs = this.#subs.get(session)?.answered(id);
    for (const ref of refs ?? [])
      this.#port.send({ t: 'ack', ref, session, id, seq, at: timeText(at), repeat: true });
  }

  refused(session: string, id: string, why: Refusal): void {
    const waiting = this.#subs.get(session)?.refused(id);
    if (waiting !== undefined) this.#port.error(waiting.ref, why);
  }

  // ---- sending

  /** Sends those events that are next, as far as the socket takes them. */
  #advance(sub: Subscription, frames: EventFrames): void {
    const { events } = frames;
    for (let index = 0; index < events.length; index += 1) {
      const event = events[index]!;
      if (event.seq <= sub.lastSeq) continue;
      if (event.seq !== sub.lastSeq + 1) break;
      if (this.#behind || this.#port.buffered() > this.#outputBytes) return this.#fallBehind();
      sub.lastSeq = event.seq;
      this.#sendEvent(sub, event, frames, index);
    }
    if (sub.released !== undefined && sub.lastSeq >= sub.released.seq) this.#letGo(sub);
  }

  #fallBehind(): void {
    if (this.#behind) return;
    this.#behind = true;
    this.#port.count('behind');
  }

  #sendEvent(sub: Subscription, event: EventOut, frames: EventFrames, index: number): void {
    const who = this.#port.who();
    this.#port.count('delivered');
    if (event.type === 'message' && event.sender === who.id) {
      const refs = sub.answered(event.id);
      if (refs !== undefined) return this.#ack(sub.session, event, refs);
    }
    if (maySee(event.type, who.kind)) this.#port.write(frames.at(index, this.#port.codec));
    else this.#port.send({ t: 'event', session: sub.session, seq: event.seq, type: 'hidden' });
  }

  #ack(session: string, event: EventOut, refs: readonly (Ref | undefined)[]): void {
    const at = timeText(event.at);
    for (const [index, ref] of refs.entries()) {
      const ack = { t: 'ack', ref, session, id: event.id, seq: event.seq, at };
      this.#port.send(index === 0 ? ack : { ...ack, repeat: true });
    }
  }

  /** Asks for what lies between the last event sent and the newest one known. */
  #catchUp(sub: Subscription): void {
    if (sub.lastSeq >= sub.head || sub.asking || this.#behind) return;
    sub.asking = true;
    sub.askedTicks = 0;
    this.#await(sub);
    if (this.#port.replay(sub.session, sub.lastSeq)) return;
    sub.asking = false;
    this.#retry(sub);
  }

  #retry(sub: Subscription): void {
    sub.retry = true;
    this.#await(sub);
  }

  #await(sub: Subscription): void {
    this.#unanswered ??= new Set();
    this.#unanswered.add(sub);
  }

  #resubscribe(sub: Subscription): void {
    // Before the first snapshot it is asked for again as it was.
    if (!sub.live && sub.ready === undefined) return;
    sub.asking = true;
    sub.askedTicks = 0;
    this.#await(sub);
    if (this.#port.subscribe(sub.session, sub.live ? sub.lastSeq : sub.after)) return;
    if (sub.ready === undefined) this.#retry(sub);
    else sub.ready(sessionBusy);
  }
}

/** Customers follow what is theirs, agents what they hold. */
function mayHold(who: Actor, { view }: Snapshot): boolean {
  return who.kind === 'customer' || (view.state === 'chatting' && view.agent?.id === who.id);
}

function releasedBy({ view, head }: Snapshot): Subscription['released'] {
  return { reason: view.state === 'closed' ? 'closed' : 'moved', seq: head };
}

const sessionBusy = refusal('busy', 'the session is busy; try again', 500);
/** Subscriptions without a snapshot in answer, after which a message is refused rather than said again. */
const inVainMax = 8;
/** What was asked for and has not come after so many ticks is asked for again. */
const answerTicks = 5;
