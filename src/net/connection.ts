import type { Ref as ActorRef, System, ThreadId } from '../actors/engine/types.ts';
import { sessionKind, type Connected, type SessionMessage } from '../actors/messages.ts';
import { isOutcomeUnknown, KefuError, refusal, toRefusal, type Refusal } from '../core/errors.ts';
import { timeText, type EventOut } from '../protocol/session-view.ts';
import { maySee, type Actor } from '../rules/session.ts';
import { encodeJsonText, type Codec } from './codec.ts';
import { parseFrame, type ClientFrame, type HelloFrame, type Ref, type SayFrame } from './frames-in.ts';
import type { Requests } from './requests.ts';
import { Subscription, type Snapshot } from './subscription.ts';
import { TokenBucket } from './token-bucket.ts';
import type { VerifiedToken } from './tokens.ts';

/** The socket's side, adapted from uWebSockets.js by the gateway. */
export interface Socket {
  /** False when it was dropped because the socket is gone. */
  send(data: string | Uint8Array, binary: boolean): boolean;
  /** Bytes that the peer has not taken yet. */
  buffered(): number;
  /** Writes all that `work` sends in one system call. */
  cork(work: () => void): void;
  close(code: number, reason: string): void;
}

export interface ConnectionLimits {
  readonly frameBytes: number;
  readonly heartbeatMs: number;
  readonly messagesPerSecond: number;
  readonly inFlight: number;
  readonly outputBytes: number;
  readonly historyPage: number;
}

/** What all connections of a thread share. */
export interface ConnectionHost {
  readonly thread: ThreadId;
  readonly system: System;
  readonly requests: Requests;
  readonly limits: ConnectionLimits;
  /** For `ready`: what a client should know of the server's limits. */
  readonly announced: object;
  verify(token: string): Promise<VerifiedToken | undefined>;
  count(what: 'said' | 'delivered' | 'rejected' | 'behind', label?: string): void;
}

/** Close codes: 4000 to 4099 mean come back, 4400 and above mean don't, not with the same. */
export const closeCodes = {
  goaway: 1001,
  gone: 4000,
  slow: 4001,
  badFrame: 4400,
  unauthorized: 4401,
  superseded: 4409,
} as const;

/** Frames that came before `ready`; they are handled after it. */
const heldMax = 64;

/** The wire forms of a batch of events, each made once for all connections of a thread that need it. */
export class Frames {
  readonly events: readonly EventOut[];
  readonly #made = new Map<Codec, (string | Uint8Array)[]>();

  constructor(events: readonly EventOut[]) {
    this.events = events;
  }

  at(index: number, codec: Codec, make: (event: EventOut) => string | Uint8Array): string | Uint8Array {
    let list = this.#made.get(codec);
    if (list === undefined) this.#made.set(codec, (list = []));
    return (list[index] ??= make(this.events[index]!));
  }
}

/**
 * One WebSocket. It follows sessions, and sends each session's events in the order of seq, each once: what comes
 * early waits for what is missing (`replay`), what was sent is dropped. A message said here leaves as its ack in its
 * event's place. When the peer reads too slowly nothing is kept for it: it is `behind`, and catches up from history.
 */
export class Connection {
  readonly number: number;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #codec: Codec;
  #who: Actor | undefined;
  #stage: 'new' | 'greeting' | 'ready' | 'closed' = 'new';
  #held: ClientFrame[] | undefined;
  readonly #subs = new Map<string, Subscription>();
  #says: TokenBucket;
  #asks: TokenBucket;
  #behind = false;
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** On the monotonic clock. */
  heardAtMs: number;
  readonly sinceMs: number;

  constructor(number: number, host: ConnectionHost, socket: Socket, codec: Codec, nowMs: number) {
    this.number = number;
    this.#host = host;
    this.#socket = socket;
    this.#codec = codec;
    this.heardAtMs = nowMs;
    this.sinceMs = nowMs;
    this.#says = new TokenBucket(host.limits.messagesPerSecond);
    this.#asks = new TokenBucket(host.limits.messagesPerSecond);
  }

  get isReady(): boolean {
    return this.#stage === 'ready';
  }

  get who(): Actor | undefined {
    return this.#who;
  }

  get codecName(): string {
    return this.#codec.name;
  }

  // ---- from the client

  receive(message: ArrayBuffer, isBinary: boolean, nowMs: number): void {
    this.heardAtMs = nowMs;
    if (message.byteLength > this.#host.limits.frameBytes) return this.#error(undefined, tooLarge);
    let value: object;
    try {
      value = this.#codec.decode(message, isBinary);
    } catch (error) {
      return this.end(toRefusal(error), closeCodes.badFrame);
    }
    const frame = parseFrame(value, Number.MAX_SAFE_INTEGER);
    if (frame.t === 'refused') {
      if (frame.refusal.code === 'bad_frame') return this.end(frame.refusal, closeCodes.badFrame);
      if (this.#stage === 'new') return this.end(firstMustBeHello, closeCodes.badFrame);
      return this.#error(frame.ref, frame.refusal);
    }
    if (this.#stage === 'ready') return this.#handle(frame, nowMs);
    if (frame.t === 'ping') return this.#send({ t: 'pong' });
    if (this.#stage === 'new') {
      if (frame.t !== 'hello') return this.end(firstMustBeHello, closeCodes.badFrame);
      this.#stage = 'greeting';
      void this.#hello(frame);
      return;
    }
    this.#held ??= [];
    if (this.#held.length >= heldMax) return this.#error(frame.ref, tooEarly);
    this.#held.push(frame);
  }

  #handle(frame: ClientFrame, nowMs: number): void {
    if (frame.t === 'say') return this.#say(frame, nowMs);
    if (frame.t === 'ping') return this.#send({ t: 'pong' });
    const retryAfterMs = this.#asks.take(nowMs);
    const quiet = frame.t === 'typing' || frame.t === 'read';
    if (retryAfterMs > 0) {
      this.#host.count('rejected', 'rate_limited');
      if (!quiet)
        this.#error(frame.ref, refusal('rate_limited', 'too many requests on this connection', retryAfterMs));
      return;
    }
    switch (frame.t) {
      case 'typing':
        return void this.#tell(frame.session, { type: 'typing', peer: this.#peer });
      case 'read':
        return void this.#tell(frame.session, { type: 'read', peer: this.#peer, seq: frame.seq });
      case 'hello':
        return this.#error(frame.ref, refusal('bad_request', 'hello was said already'));
      case 'open':
        return void this.#open(frame);
      case 'close':
        return this.#answer(
          frame.ref,
          this.#host.requests.close(this.#who!, frame.session, frame.reason),
          () => ({ t: 'ok', ref: frame.ref }),
        );
      case 'transfer':
        return this.#answer(
          frame.ref,
          this.#host.requests.transfer(this.#who!, frame.session, frame.to, frame.note),
          () => ({ t: 'ok', ref: frame.ref }),
        );
      case 'presence':
        return this.#answer(frame.ref, this.#host.requests.presence(this.#who!, frame.state), () => ({
          t: 'ok',
          ref: frame.ref,
        }));
      case 'history': {
        const { session, ref, before } = frame;
        const limit = Math.min(frame.limit ?? 50, this.#host.limits.historyPage);
        const range = before === undefined ? {} : { before };
        const page = this.#host.requests.history(this.#who!, session, range, limit);
        return this.#answer(ref, page, ({ events, more }) => ({
          t: 'events',
          ref,
          session,
          events: events.map((event) => this.#visible(event)),
          more,
        }));
      }
    }
  }

  /** Answers a request when its work is done; an unknown outcome is not answered, as the contract says. */
  #answer<T>(ref: Ref | undefined, work: Promise<T>, frame: (value: T) => object): void {
    work.then(
      (value) => this.#send(frame(value)),
      (error: unknown) => {
        if (!isOutcomeUnknown(error)) this.#error(ref, toRefusal(error));
      },
    );
  }

  #say(frame: SayFrame, nowMs: number): void {
    const retryAfterMs = this.#says.take(nowMs);
    if (retryAfterMs > 0) {
      return this.#error(
        frame.ref,
        refusal('rate_limited', 'too many messages on this connection', retryAfterMs),
      );
    }
    const sub = this.#subs.get(frame.session);
    if (sub === undefined || sub.released !== undefined) return this.#sayElsewhere(frame);
    if (sub.saidCount >= this.#host.limits.inFlight) return this.#error(frame.ref, tooManyUnanswered);
    this.#host.count('said');
    sub.said(frame.id, frame.ref);
    const taken = this.#tell(frame.session, {
      type: 'say',
      peer: this.#peer,
      id: frame.id,
      body: frame.body,
    });
    if (!taken)
      this.refused(frame.session, frame.id, refusal('busy', 'this session is busy; try again', 200));
  }

  /** A session that this connection does not follow: the session itself knows why not. */
  #sayElsewhere(frame: SayFrame): void {
    const { session, id, ref } = frame;
    this.#answer(ref, this.#host.requests.say(this.#who!, session, id, frame.body), (said) => ({
      t: 'ack',
      ref,
      session,
      id,
      seq: said.seq,
      at: timeText(said.at),
      ...(said.repeat ? { repeat: true } : {}),
    }));
  }

  async #open(frame: Extract<ClientFrame, { t: 'open' }>): Promise<void> {
    const { ref } = frame;
    try {
      const { session } = await this.#host.requests.open(this.#who!, frame);
      if (this.#subs.has(session.id)) return this.#send({ t: 'opened', ref, session });
      const snapshot = await this.#follow(session.id, 'opened', 0);
      this.#socket.cork(() => {
        this.#send({ t: 'opened', ref, session: snapshot?.view ?? session });
        this.#begin(session.id, snapshot);
      });
    } catch (error) {
      if (!isOutcomeUnknown(error)) this.#error(ref, toRefusal(error));
    }
  }

  // ---- hello

  async #hello(frame: HelloFrame): Promise<void> {
    try {
      const token = await this.#host.verify(frame.token);
      if (token === undefined) return this.end(badToken, closeCodes.unauthorized);
      const greeting = await this.#greet(token, frame.resume ?? {});
      if (this.#gone()) return this.#leave(this.#who!);
      const { me, snapshots } = greeting;
      this.#stage = 'ready';
      this.#socket.cork(() => {
        const reads = Object.fromEntries(
          snapshots
            .filter(([, snapshot]) => Object.keys(snapshot.marks).length > 0)
            .map(([id, it]) => [id, it.marks]),
        );
        const sessions = snapshots.map(([, snapshot]) => snapshot.view);
        const heartbeat_ms = this.#host.limits.heartbeatMs;
        this.#send({
          t: 'ready',
          ref: frame.ref,
          me,
          heartbeat_ms,
          sessions,
          limits: this.#host.announced,
          reads,
        });
        for (const [id, snapshot] of snapshots) this.#begin(id, snapshot);
      });
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const early of held) this.#handle(early, this.heardAtMs);
    } catch (error) {
      if (this.#gone()) return;
      // Not greeted, but not lost: the client may say hello again.
      if (this.#who !== undefined) this.#leave(this.#who);
      this.#stage = 'new';
      this.#held = undefined;
      this.#error(frame.ref, toRefusal(error));
    }
  }

  async #greet(
    token: VerifiedToken,
    resume: Readonly<Record<string, number>>,
  ): Promise<{ me: object; snapshots: [string, Snapshot][] }> {
    const { who, me, sessions } = await this.#host.requests.greet(token.identity, this.#peer);
    this.#who = who;
    this.expiresAtMs = token.expiresAtMs;
    if (this.#gone()) return { me, snapshots: [] };
    const ids = new Set([...sessions, ...Object.keys(resume)]);
    const snapshots = await Promise.all(
      [...ids].map(async (id): Promise<[string, Snapshot] | undefined> => {
        const after = resume[id] ?? (who.kind === 'customer' ? 0 : 'head');
        const snapshot = await this.#follow(id, 'hello', after);
        const sub = this.#subs.get(id);
        if (snapshot === undefined || sub === undefined) return undefined;
        if (who.kind !== 'customer' && !sessions.includes(id)) {
          const closed = snapshot.view.state === 'closed';
          sub.released = { reason: closed ? 'closed' : 'moved', seq: snapshot.head };
        }
        return [id, snapshot];
      }),
    );
    return { me, snapshots: snapshots.filter((entry) => entry !== undefined) };
  }

  // ---- following sessions

  /** Subscribes, and settles with the snapshot; undefined when the session is not to be seen. Events wait for `#begin`. */
  #follow(
    session: string,
    purpose: Subscription['purpose'],
    after: number | 'tail' | 'head',
  ): Promise<Snapshot | undefined> {
    const sub = new Subscription(session, purpose);
    this.#subs.set(session, sub);
    return new Promise((resolve, reject) => {
      sub.ready = (result) => {
        sub.ready = undefined;
        if ('code' in result) {
          this.#subs.delete(session);
          if (result.code === 'not_found') resolve(undefined);
          else reject(KefuError.from(result));
        } else resolve(result);
      };
      const sent = this.#tell(session, { type: 'subscribe', peer: this.#peer, who: this.#who!, after });
      if (!sent) sub.ready(refusal('busy', 'the session is busy; try again', 500));
    });
  }

  /** Sends what the snapshot holds; from here on the session's events flow. */
  #begin(session: string, snapshot: Snapshot | undefined): void {
    const sub = this.#subs.get(session);
    if (sub === undefined || snapshot === undefined || this.#gone()) return;
    if (snapshot.reset) this.#send({ t: 'reset', session });
    sub.lastSeq = snapshot.from;
    sub.head = Math.max(sub.head, snapshot.head);
    sub.live = true;
    sub.asking = false;
    if (sub.purpose !== 'assigned') this.#advance(sub, new Frames(snapshot.events));
    this.#catchUp(sub);
    if (sub.early !== undefined) this.#send(sub.early);
    sub.early = undefined;
  }

  /** A snapshot has come from the session. */
  snapshot(session: string, snapshot: Snapshot): void {
    const sub = this.#subs.get(session);
    if (sub?.ready !== undefined) return sub.ready(snapshot);
    if (sub === undefined) return void this.#tell(session, { type: 'unsubscribe', peer: this.#peer });
    // Subscribed anew because the session moved or restarted: what was missed is in here.
    if (!sub.live) return;
    sub.asking = false;
    sub.head = Math.max(sub.head, snapshot.head);
    this.#socket.cork(() => {
      if (snapshot.reset) {
        this.#send({ t: 'reset', session });
        sub.lastSeq = 0;
      }
      this.#advance(sub, new Frames(snapshot.events));
      this.#catchUp(sub);
    });
  }

  events(session: string, frames: Frames): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    const last = frames.events.at(-1)!.seq;
    if (last > sub.head) sub.head = last;
    if (!sub.live || this.#behind) return;
    // One write for all of them; a single frame needs no cork.
    if (frames.events.length === 1) this.#advance(sub, frames);
    else this.#socket.cork(() => this.#advance(sub, frames));
    if (sub.lastSeq < sub.head) this.#catchUp(sub);
  }

  page(session: string, events: readonly EventOut[], head: number): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    sub.asking = false;
    sub.head = Math.max(sub.head, head);
    this.#socket.cork(() => {
      this.#advance(sub, new Frames(events));
      this.#catchUp(sub);
    });
  }

  missed(session: string, why: Refusal): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    if (sub.ready !== undefined) return sub.ready(why);
    sub.asking = false;
    if (why.code !== 'not_found') sub.retry = true;
    else this.#resubscribe(sub);
  }

  /** Sends those events that are next, as far as the socket takes them. */
  #advance(sub: Subscription, frames: Frames): void {
    const { events } = frames;
    for (let index = 0; index < events.length; index += 1) {
      const event = events[index]!;
      if (event.seq <= sub.lastSeq) continue;
      if (event.seq !== sub.lastSeq + 1) break;
      if (this.#behind || this.#isFull()) {
        this.#fallBehind();
        return;
      }
      sub.lastSeq = event.seq;
      this.#sendEvent(sub, event, frames, index);
    }
    if (sub.released !== undefined && sub.lastSeq >= sub.released.seq) this.#letGo(sub);
  }

  #sendEvent(sub: Subscription, event: EventOut, frames: Frames, index: number): void {
    this.#host.count('delivered');
    if (event.type === 'message' && event.sender === this.#who!.id) {
      const refs = sub.answered(event.id);
      if (refs !== undefined) return this.#ack(sub.session, event, refs);
    }
    if (!maySee(event.type, this.#who!.kind)) {
      this.#send({ t: 'event', session: sub.session, seq: event.seq, type: 'hidden' });
      return;
    }
    const codec = this.#codec;
    this.#write(frames.at(index, codec, (it) => eventFrame(codec, it.json)));
  }

  #ack(
    session: string,
    event: { seq: number; at: number; id: string },
    refs: readonly (Ref | undefined)[],
  ): void {
    const at = timeText(event.at);
    for (const [index, ref] of refs.entries()) {
      const ack = { t: 'ack', ref, session, id: event.id, seq: event.seq, at };
      this.#send(index === 0 ? ack : { ...ack, repeat: true });
    }
  }

  /** Asks for what lies between the last event sent and the newest one known. */
  #catchUp(sub: Subscription): void {
    if (sub.lastSeq >= sub.head || sub.asking || this.#behind) return;
    sub.asking = true;
    if (!this.#tell(sub.session, { type: 'replay', peer: this.#peer, after: sub.lastSeq })) {
      sub.asking = false;
      sub.retry = true;
    }
  }

  #resubscribe(sub: Subscription): void {
    if (!sub.live) return;
    sub.asking = true;
    const after = sub.lastSeq;
    const sent = this.#tell(sub.session, { type: 'subscribe', peer: this.#peer, who: this.#who!, after });
    if (!sent) sub.retry = true;
  }

  /** An actor started anew: it does not know this connection. */
  restarted(lost: (kind: string, key: string) => boolean): void {
    for (const sub of this.#subs.values()) {
      if (!lost('session', sub.session)) continue;
      if (sub.ready !== undefined) sub.ready(justMoved);
      else this.#resubscribe(sub);
    }
    const who = this.#who;
    if (who !== undefined && who.kind !== 'customer' && this.isReady && lost('agent', who.id))
      this.#reconnectAgent(who);
  }

  #reconnectAgent(who: Actor): void {
    this.#host.requests.reconnect(who, this.#peer).then(
      (connected: Connected) => {
        for (const session of connected.sessions) if (!this.#subs.has(session)) this.assigned(session);
      },
      () => {
        this.reconnectDue = true;
      },
    );
  }

  reconnectDue = false;

  // ---- an agent's sessions

  assigned(session: string): void {
    const old = this.#subs.get(session);
    if (old !== undefined) {
      if (old.released === undefined) return;
      this.#letGo(old);
    }
    this.#follow(session, 'assigned', 'tail').then(
      (snapshot) => {
        if (snapshot === undefined || this.#gone() || !this.#subs.has(session)) return;
        const { view, events } = snapshot;
        this.#socket.cork(() => {
          this.#send({
            t: 'assigned',
            session: view,
            customer: view.customer,
            events: events.map((event) => this.#visible(event)),
          });
          this.#begin(session, { ...snapshot, from: snapshot.from + events.length });
        });
      },
      () => {
        this.reconnectDue = true;
      },
    );
  }

  released(session: string, reason: string, seq: number): void {
    const sub = this.#subs.get(session);
    if (sub === undefined) return;
    sub.released = { reason, seq };
    if (sub.live && sub.lastSeq >= seq) this.#letGo(sub);
    else if (sub.live) {
      sub.head = Math.max(sub.head, seq);
      this.#catchUp(sub);
    }
  }

  #letGo(sub: Subscription): void {
    this.#send({ t: 'released', session: sub.session, reason: sub.released!.reason });
    this.#drop(sub.session);
  }

  #drop(session: string): void {
    this.#subs.delete(session);
    this.#tell(session, { type: 'unsubscribe', peer: this.#peer });
  }

  // ---- answers to what was said

  said(session: string, id: string, seq: number, at: number): void {
    const refs = this.#subs.get(session)?.answered(id);
    if (refs === undefined) return;
    for (const ref of refs) this.#send({ t: 'ack', ref, session, id, seq, at: timeText(at), repeat: true });
  }

  refused(session: string, id: string, why: Refusal): void {
    const refs = this.#subs.get(session)?.answered(id);
    for (const ref of refs ?? []) this.#error(ref, why);
  }

  /** A frame that helps but may be lost: left out while the peer is behind. */
  frame(frame: { readonly t?: string; readonly session?: string }): void {
    const sub = frame.session === undefined ? undefined : this.#subs.get(frame.session);
    if (sub !== undefined && !sub.live) {
      // Its session has not been told of yet. A place in the queue is said only once, so it waits.
      if (frame.t === 'queue') sub.early = frame;
      return;
    }
    if (this.#stage === 'ready' && !this.#behind) this.#send(frame);
  }

  // ---- output

  #isFull(): boolean {
    return this.#socket.buffered() > this.#host.limits.outputBytes;
  }

  #fallBehind(): void {
    if (this.#behind) return;
    this.#behind = true;
    this.#host.count('behind');
  }

  /** The peer has taken what was buffered. */
  drained(): void {
    if (!this.#behind || this.#socket.buffered() > this.#host.limits.outputBytes / 2) return;
    this.#behind = false;
    for (const sub of this.#subs.values()) if (sub.live) this.#catchUp(sub);
  }

  /** Once a second or so: tries again what could not be had. */
  tick(): void {
    if (this.#stage !== 'ready') return;
    this.drained();
    for (const sub of this.#subs.values()) {
      if (!sub.retry) continue;
      sub.retry = false;
      this.#resubscribe(sub);
    }
    if (this.reconnectDue) {
      this.reconnectDue = false;
      this.#reconnectAgent(this.#who!);
    }
  }

  #visible(event: EventOut): object {
    if (!maySee(event.type, this.#who!.kind)) return { t: 'event', ...hiddenEvent(event.json) };
    return JSON.parse(`{"t":"event",${event.json.slice(1)}`) as object;
  }

  #error(ref: Ref | undefined, why: Refusal): void {
    this.#host.count('rejected', why.code);
    const { code, message, retryAfterMs } = why;
    this.#send({ t: 'error', ref, code, message, retry_after_ms: retryAfterMs });
  }

  #send(frame: object): void {
    if (this.#stage === 'closed') return;
    this.#write(this.#codec.encode(frame));
    // A peer that asks and asks but does not read: it has had its share of memory.
    if (this.#socket.buffered() > 4 * this.#host.limits.outputBytes)
      this.#cut(closeCodes.slow, 'reads too slowly');
  }

  #write(data: string | Uint8Array): void {
    if (this.#stage !== 'closed') this.#socket.send(data, this.#codec.binary);
  }

  // ---- the end

  /** Says why, and closes. */
  end(why: Refusal, code: number): void {
    this.#error(undefined, why);
    this.#cut(code, why.code);
  }

  goaway(reason: string, reconnectMs: number): void {
    this.#send({ t: 'goaway', reason, reconnect_ms: reconnectMs });
    this.#cut(closeCodes.goaway, reason);
  }

  #cut(code: number, reason: string): void {
    if (this.#stage !== 'closed') this.#socket.close(code, reason);
  }

  /** The socket is gone. */
  closed(): void {
    const greeted = this.#stage === 'ready';
    this.#stage = 'closed';
    if (greeted) this.#leave(this.#who!);
  }

  #leave(who: Actor): void {
    for (const id of [...this.#subs.keys()]) this.#drop(id);
    if (who.kind !== 'customer') this.#host.requests.leave(who, this.#peer);
  }

  #gone(): boolean {
    return this.#stage === 'closed';
  }

  get #peer(): { thread: ThreadId; conn: number } {
    return { thread: this.#host.thread, conn: this.number };
  }

  #tell(session: string, message: SessionMessage): boolean {
    return this.#ref(session).tell(message);
  }

  #ref(session: string): ActorRef<SessionMessage> {
    return this.#host.system.ref(sessionKind, session);
  }
}

function eventFrame(codec: Codec, json: string): string | Uint8Array {
  const frame = `{"t":"event",${json.slice(1)}`;
  return codec.binary ? encodeJsonText(frame) : frame;
}

function hiddenEvent(json: string): object {
  const { session, seq } = JSON.parse(json) as { session: string; seq: number };
  return { session, seq, type: 'hidden' };
}

const justMoved = refusal('unavailable', 'the session has just moved; try again', 200);
const firstMustBeHello = refusal('bad_frame', 'the first frame must be hello, with a token');
const badToken = refusal(
  'unauthorized',
  'the token is not valid, or no longer: get another by login or visitors',
);
const tooLarge = refusal('too_large', 'a frame may not be larger than the limits that `ready` announced');
const tooEarly = refusal('busy', 'too many frames before ready', 200);
const tooManyUnanswered = refusal('busy', 'too many messages on this connection wait for their acks', 200);
