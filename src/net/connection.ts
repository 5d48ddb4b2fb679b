import type { Ref as ActorRef, System, ThreadId } from '../actors/engine/types.ts';
import { sessionKind, type SessionMessage } from '../actors/messages.ts';
import { isOutcomeUnknown, refusal, toRefusal, type Refusal } from '../core/errors.ts';
import { timeText } from '../protocol/session-view.ts';
import type { Actor } from '../rules/session.ts';
import type { Codec } from './codec.ts';
import { parseFrame, type ClientFrame, type HelloFrame, type Ref, type SayFrame } from './frames-in.ts';
import type { Requests } from './requests.ts';
import { Follower, type FollowerPort } from './follower.ts';
import type { Snapshot } from './subscription.ts';
import { visibleEvent } from './event-frames.ts';
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

/** How often what an agent's connection was told is compared with what the agent's actor knows. */
const compareTicks = 20;

/** One WebSocket: its greeting, its requests and its end. What it follows is `follower.ts`. */
export class Connection implements FollowerPort {
  readonly number: number;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly codec: Codec;
  #who: Actor | undefined;
  /** Whose actor knows this connection, or may come to know it: what asked it to may still be on its way. */
  #agent: string | undefined;
  #stage: 'new' | 'greeting' | 'ready' | 'closed' = 'new';
  #held: ClientFrame[] | undefined;
  readonly follower: Follower;
  /** Made when they are needed: most connections say nothing for long. */
  #says: TokenBucket | undefined;
  #asks: TokenBucket | undefined;
  #reconnectDue = false;
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** On the monotonic clock. */
  heardAtMs: number;
  readonly sinceMs: number;

  constructor(number: number, host: ConnectionHost, socket: Socket, codec: Codec, nowMs: number) {
    this.number = number;
    this.#host = host;
    this.#socket = socket;
    this.codec = codec;
    this.heardAtMs = nowMs;
    this.sinceMs = nowMs;
    this.follower = new Follower(this, host.limits.outputBytes);
  }

  get isReady(): boolean {
    return this.#stage === 'ready';
  }

  // ---- from the client

  receive(message: ArrayBuffer, isBinary: boolean, nowMs: number): void {
    this.heardAtMs = nowMs;
    if (message.byteLength > this.#host.limits.frameBytes) return this.error(undefined, tooLarge);
    let value: object;
    try {
      value = this.codec.decode(message, isBinary);
    } catch (error) {
      return this.end(toRefusal(error), closeCodes.badFrame);
    }
    const frame = parseFrame(value, Number.MAX_SAFE_INTEGER);
    if (frame.t === 'refused') {
      if (frame.refusal.code === 'bad_frame') return this.end(frame.refusal, closeCodes.badFrame);
      if (this.#stage === 'new') return this.end(firstMustBeHello, closeCodes.badFrame);
      return this.error(frame.ref, frame.refusal);
    }
    if (this.#stage === 'ready') return this.#handle(frame, nowMs);
    if (frame.t === 'ping') return this.send({ t: 'pong' });
    if (this.#stage === 'new') {
      if (frame.t !== 'hello') return this.end(firstMustBeHello, closeCodes.badFrame);
      this.#stage = 'greeting';
      void this.#hello(frame);
      return;
    }
    this.#held ??= [];
    if (this.#held.length >= heldMax) return this.error(frame.ref, tooEarly);
    this.#held.push(frame);
  }

  #handle(frame: ClientFrame, nowMs: number): void {
    if (frame.t === 'say') return this.#say(frame, nowMs);
    if (frame.t === 'ping') return this.send({ t: 'pong' });
    this.#asks ??= new TokenBucket(this.#host.limits.messagesPerSecond);
    const retryAfterMs = this.#asks.take(nowMs);
    const quiet = frame.t === 'typing' || frame.t === 'read';
    if (retryAfterMs > 0) {
      this.#host.count('rejected', 'rate_limited');
      if (!quiet)
        this.error(frame.ref, refusal('rate_limited', 'too many requests on this connection', retryAfterMs));
      return;
    }
    switch (frame.t) {
      case 'typing':
        return void this.#tell(frame.session, { type: 'typing', peer: this.#peer });
      case 'read':
        return void this.#tell(frame.session, { type: 'read', peer: this.#peer, seq: frame.seq });
      case 'hello':
        return this.error(frame.ref, refusal('bad_request', 'hello was said already'));
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
          events: events.map((event) => visibleEvent(event, this.#who!.kind)),
          more,
        }));
      }
    }
  }

  /** Answers a request when its work is done; an unknown outcome is not answered, as the contract says. */
  #answer<T>(ref: Ref | undefined, work: Promise<T>, frame: (value: T) => object): void {
    work.then(
      (value) => this.send(frame(value)),
      (error: unknown) => {
        if (!isOutcomeUnknown(error)) this.error(ref, toRefusal(error));
      },
    );
  }

  #say(frame: SayFrame, nowMs: number): void {
    this.#says ??= new TokenBucket(this.#host.limits.messagesPerSecond);
    const retryAfterMs = this.#says.take(nowMs);
    if (retryAfterMs > 0) {
      return this.error(
        frame.ref,
        refusal('rate_limited', 'too many messages on this connection', retryAfterMs),
      );
    }
    const sub = this.follower.get(frame.session);
    if (sub === undefined || sub.released !== undefined) return this.#sayElsewhere(frame);
    if (sub.saidCount >= this.#host.limits.inFlight) return this.error(frame.ref, tooManyUnanswered);
    this.#host.count('said');
    sub.said(frame.id, frame.ref);
    const taken = this.#tell(frame.session, {
      type: 'say',
      peer: this.#peer,
      id: frame.id,
      body: frame.body,
    });
    if (!taken) this.follower.refused(frame.session, frame.id, sessionBusy);
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
      // It stands for nothing: if the connection comes to follow the session, the event is still to come.
      repeat: true,
    }));
  }

  async #open(frame: Extract<ClientFrame, { t: 'open' }>): Promise<void> {
    const { ref } = frame;
    try {
      const { session } = await this.#host.requests.open(this.#who!, frame);
      if (this.follower.get(session.id) !== undefined) return this.send({ t: 'opened', ref, session });
      const snapshot = await this.follower.follow(session.id, 0);
      this.cork(() => {
        this.send({ t: 'opened', ref, session: snapshot?.view ?? session });
        this.follower.begin(session.id, snapshot);
      });
    } catch (error) {
      if (!isOutcomeUnknown(error)) this.error(ref, toRefusal(error));
    }
  }

  // ---- hello

  async #hello(frame: HelloFrame): Promise<void> {
    try {
      const token = await this.#host.verify(frame.token);
      if (token === undefined) return this.end(badToken, closeCodes.unauthorized);
      const greeting = await this.#greet(token, frame.resume ?? {});
      if (this.isGone()) return this.#leave();
      const { me, snapshots } = greeting;
      this.#stage = 'ready';
      this.cork(() => {
        const reads = Object.fromEntries(
          snapshots
            .filter(([, snapshot]) => Object.keys(snapshot.marks).length > 0)
            .map(([id, it]) => [id, it.marks]),
        );
        const sessions = snapshots.map(([, snapshot]) => snapshot.view);
        const heartbeat_ms = this.#host.limits.heartbeatMs;
        this.send({
          t: 'ready',
          ref: frame.ref,
          me,
          heartbeat_ms,
          sessions,
          limits: this.#host.announced,
          reads,
        });
        for (const [id, snapshot] of snapshots) this.follower.begin(id, snapshot);
      });
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const early of held) this.#handle(early, this.heardAtMs);
      this.#catchUpWithAgent();
    } catch (error) {
      this.#leave();
      if (this.isGone()) return;
      // Not greeted, but not lost: the client may say hello again.
      this.#stage = 'new';
      this.#held = undefined;
      this.error(frame.ref, toRefusal(error));
    }
  }

  async #greet(
    token: VerifiedToken,
    resume: Readonly<Record<string, number>>,
  ): Promise<{ me: object; snapshots: [string, Snapshot][] }> {
    if (token.identity.kind !== 'customer') this.#agent = token.identity.id;
    const { who, me, sessions } = await this.#host.requests.greet(token.identity, this.#peer);
    this.#who = who;
    this.expiresAtMs = token.expiresAtMs;
    if (this.isGone()) return { me, snapshots: [] };
    const ids = new Set([...sessions, ...Object.keys(resume)]);
    const snapshots = await Promise.all(
      [...ids].map(async (id): Promise<[string, Snapshot] | undefined> => {
        const after = resume[id] ?? (who.kind === 'customer' ? 0 : 'head');
        const snapshot = await this.follower.follow(id, after);
        return snapshot === undefined || this.follower.get(id) === undefined ? undefined : [id, snapshot];
      }),
    );
    return { me, snapshots: snapshots.filter((entry) => entry !== undefined) };
  }

  // ---- what actors say to it

  /** Actors started anew and do not know this connection. */
  restarted(lost: (kind: string, key: string) => boolean): void {
    this.follower.restarted((session) => lost('session', session));
    const who = this.#who;
    if (who !== undefined && who.kind !== 'customer' && this.isReady && lost('agent', who.id))
      this.#reconnectAgent(who);
  }

  #reconnectAgent(who: Actor): void {
    this.#host.requests.reconnect(who, this.#peer, this.follower.held()).then(
      ({ sessions }) => {
        for (const session of sessions) if (this.follower.get(session) === undefined) this.assigned(session);
      },
      () => {
        this.#reconnectDue = true;
      },
    );
  }

  /** A session that has moved did not know this connection when the message came: subscribed first, it is said again. */
  stranger(session: string, id: string, body: unknown): void {
    if (!this.follower.again(session)) return this.follower.refused(session, id, justMoved);
    if (!this.#tell(session, { type: 'say', peer: this.#peer, id, body }))
      this.follower.refused(session, id, sessionBusy);
  }

  /** Before `ready` a client could not place it, and who it is may not be known yet: then it is looked for after that. */
  assigned(session: string): void {
    if (this.#stage !== 'ready') {
      this.#reconnectDue = true;
      return;
    }
    this.follower.assigned(session).catch(() => {
      // What could not be had now is looked for again: the agent's actor knows what it holds.
      this.#reconnectDue = true;
    });
  }

  /** A frame that helps but may be lost: left out while the peer is behind. */
  frame(frame: { readonly t?: string; readonly session?: string }): void {
    const sub = frame.session === undefined ? undefined : this.follower.get(frame.session);
    if (sub !== undefined && !sub.live) {
      // Its session has not been told of yet. A place in the queue is said only once, so it waits.
      if (frame.t === 'queue') sub.early = frame;
      return;
    }
    if (this.#stage === 'ready' && !this.follower.isBehind) this.send(frame);
  }

  /** Once a second or so, the `count`th time: tries again what could not be had. */
  tick(count: number): void {
    if (this.#stage !== 'ready') return;
    this.follower.tick();
    // What its actor told may have been lost on the way, and nothing that follows would show it.
    if (this.#agent !== undefined && (count + this.number) % compareTicks === 0) this.#reconnectDue = true;
    this.#catchUpWithAgent();
  }

  #catchUpWithAgent(): void {
    if (!this.#reconnectDue) return;
    this.#reconnectDue = false;
    this.#reconnectAgent(this.#who!);
  }

  // ---- what following needs

  who(): Actor {
    return this.#who!;
  }

  isGone(): boolean {
    return this.#stage === 'closed';
  }

  subscribe(session: string, after: number | 'tail' | 'head'): boolean {
    return this.#tell(session, { type: 'subscribe', peer: this.#peer, who: this.#who!, after });
  }

  replay(session: string, after: number): boolean {
    return this.#tell(session, { type: 'replay', peer: this.#peer, after });
  }

  unsubscribe(session: string): void {
    this.#tell(session, { type: 'unsubscribe', peer: this.#peer });
  }

  count(what: 'delivered' | 'behind'): void {
    this.#host.count(what);
  }

  cork(work: () => void): void {
    this.#socket.cork(work);
  }

  buffered(): number {
    return this.#socket.buffered();
  }

  // ---- output

  error(ref: Ref | undefined, why: Refusal): void {
    this.#host.count('rejected', why.code);
    const { code, message, retryAfterMs } = why;
    this.send({ t: 'error', ref, code, message, retry_after_ms: retryAfterMs });
  }

  send(frame: object): void {
    if (this.#stage === 'closed') return;
    this.write(this.codec.encode(frame));
    // A peer that asks and asks but does not read: it has had its share of memory.
    if (this.#socket.buffered() > 4 * this.#host.limits.outputBytes)
      this.#cut(closeCodes.slow, 'reads too slowly');
  }

  write(data: string | Uint8Array): void {
    if (this.#stage !== 'closed') this.#socket.send(data, this.codec.binary);
  }

  // ---- the end

  /** Says why, and closes. */
  end(why: Refusal, code: number): void {
    this.error(undefined, why);
    this.#cut(code, why.code);
  }

  goaway(reason: string, reconnectMs: number): void {
    this.send({ t: 'goaway', reason, reconnect_ms: reconnectMs });
    this.#cut(closeCodes.goaway, reason);
  }

  #cut(code: number, reason: string): void {
    if (this.#stage !== 'closed') this.#socket.close(code, reason);
  }

  /** The socket is gone. */
  closed(): void {
    const greeted = this.#stage === 'ready';
    this.#stage = 'closed';
    if (greeted) this.#leave();
  }

  #leave(): void {
    this.follower.dropAll();
    if (this.#agent !== undefined) this.#host.requests.leave(this.#agent, this.#peer);
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

const firstMustBeHello = refusal('bad_frame', 'the first frame must be hello, with a token');
const badToken = refusal(
  'unauthorized',
  'the token is not valid, or no longer: get another by login or visitors',
);
const tooLarge = refusal('too_large', 'a frame may not be larger than the limits that `ready` announced');
const sessionBusy = refusal('busy', 'this session is busy; try again', 200);
const justMoved = refusal('unavailable', 'this session has just moved; try again with the same id', 200);
const tooEarly = refusal('busy', 'too many frames before ready', 200);
const tooManyUnanswered = refusal('busy', 'too many messages on this connection wait for their acks', 200);
