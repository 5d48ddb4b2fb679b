import { toRefusal, type Refusal } from '../core/errors.ts';
import type { IdSource } from '../core/ids.ts';
import { viewOf, type EventOut, type SessionView } from '../protocol/session-view.ts';
import {
  decide,
  evolve,
  mayRead,
  systemSender,
  type Actor as Sender,
  type Command,
  type Person,
  type SessionState,
} from '../rules/session.ts';
import type { Actor, ActorKind, Context, Reply, ThreadId } from './engine/types.ts';
import {
  gatewayKind,
  sessionKind,
  type Fence,
  type GatewayMessage,
  type Holder,
  type Peer,
  type Said,
  type SessionMessage,
} from './messages.ts';
import { idHash, MessageIds } from './message-ids.ts';
import type { History, Journal, Sessions } from './ports.ts';
import { afterCommit } from './session-effects.ts';
import { messageEvent, stateEvent } from './session-events.ts';
import {
  elsewhere,
  journalGone,
  notFound,
  tooLong,
  type Pending,
  type Requester,
} from './session-pending.ts';
import { answerHistory } from './session-history.ts';
import { SessionHeads } from './session-heads.ts';
import { SessionPassing } from './session-passing.ts';
import { SessionPromise } from './session-promise.ts';
import { Subscribers, senderJson } from './subscribers.ts';

/**
 * A session: decides commands one after another, appends their events to the journal, and tells nobody anything
 * before they are committed. Commands that follow are decided on the state as it will be, so that many may be on
 * their way to the database at once; if the journal fails, the state falls back to what is committed.
 *
 * Order: events leave in the order of seq, to each connection over one link; a connection that sees a gap asks
 * (`replay`). On the connection that said a message the gateway turns its event into the ack.
 */
export interface SessionOptions {
  readonly journal: Journal;
  readonly history: History;
  readonly sessions: Sessions;
  readonly ids: IdSource;
  readonly mailboxMax: number;
  readonly idleMs: number;
  /** Messages a session; the next one is refused with `conflict`. */
  readonly messagesMax: number;
  /** Whether what is sent to a thread may be lost on the way: it is on another node. */
  readonly isFar: (thread: ThreadId) => boolean;
  /** Events a page of history or catching up. */
  readonly pageMax: number;
}

type Change =
  | Extract<SessionMessage, { type: 'open' | 'close' | 'transfer' | 'rate' | 'requeue' | 'retarget' }>
  | { readonly type: 'assign'; readonly agent: Person; readonly fence: Fence };

let instances = 0;
export function sessionActors(options: SessionOptions): ActorKind<SessionMessage> {
  return {
    ...sessionKind,
    mailboxMax: options.mailboxMax,
    idleMs: options.idleMs,
    create: (context) => new SessionActor(options, context),
  };
}

class SessionActor implements Actor<SessionMessage> {
  readonly #options: SessionOptions;
  readonly #context: Context<SessionMessage>;
  readonly #id: string;
  readonly #instance = (instances += 1);
  readonly #subscribers: Subscribers;
  /** What is in the database. */
  #committed: SessionState | undefined;
  /** What will be when all pending events are. */
  #state: SessionState | undefined;
  #pending: Pending[] = [];
  readonly #promising: SessionPromise;
  readonly #heads: SessionHeads;
  #ids: MessageIds | undefined;
  readonly #passing: SessionPassing;
  #term!: Fence;

  constructor(options: SessionOptions, context: Context<SessionMessage>) {
    this.#options = options;
    this.#context = context;
    this.#id = context.key;
    this.#subscribers = new Subscribers(context.system);
    this.#promising = new SessionPromise(context.system, this.#id, this.#instance);
    this.#heads = new SessionHeads(context, this.#subscribers, options.isFar);
    this.#passing = new SessionPassing(context.system, this.#id, this.#subscribers);
  }

  async load(): Promise<void> {
    this.#term = this.#options.journal.fenceOf(this.#id);
    await this.#options.journal.idle(this.#id);
    this.#committed = await this.#options.sessions.load(this.#id);
    this.#state = this.#committed;
    if (this.#state === undefined) this.#ids = new MessageIds();
  }

  mayPassivate(): boolean {
    return this.#pending.length === 0 && this.#subscribers.size === 0 && !this.#promising.isAsking;
  }

  describe(): unknown {
    const { state, lastSeq } = this.#state ?? {};
    return { state, lastSeq, pending: this.#pending.length, subscribers: this.#subscribers.size };
  }

  receive(message: SessionMessage, reply: Reply | undefined): void | Promise<void> {
    switch (message.type) {
      case 'say':
        return this.#sayFrom(message);
      case 'heads':
        return this.#heads.tell(this.#committed?.lastSeq ?? 0);
      case 'committed':
        if (message.instance === this.#instance) this.#onCommitted(message.count);
        return;
      case 'failed':
        if (message.instance === this.#instance) this.#onFailed(message.refusal);
        return;
      case 'post':
        return this.#say(message.who, senderJson(message.who), message.id, message.body, {
          reply: reply!,
          repeat: false,
        });
      case 'subscribe':
        return this.#subscribe(message.peer, message.who, message.after);
      case 'unsubscribe':
        this.#subscribers.remove(message.peer);
        return;
      case 'threadLost':
        return this.#subscribers.removeThread(message.thread);
      case 'erased':
        this.#options.history.forget(this.#id);
        return this.#context.stop();
      case 'replay':
        return this.#replay(message.peer, message.after);
      case 'typing':
        return this.#passing.typing(message.peer);
      case 'read':
        return this.#passing.read(message.peer, message.seq, this.#committed?.lastSeq ?? 0);
      case 'position':
        return this.#passing.position(message, this.#state);
      case 'holder':
        this.#promising.forget();
        return this.#confirmed(reply, () => this.#tellHolder(reply));
      case 'view':
        return this.#confirmed(reply, () =>
          this.#readable(message.who, reply, (state) => reply?.ok(viewOf(state))),
        );
      case 'history':
        return this.#confirmed(reply, () =>
          this.#readable(message.who, reply, (state) =>
            answerHistory(this.#options, this.#id, state.lastSeq, message, reply),
          ),
        );
      case 'assign':
        return this.#assign(message.agent, reply);
      case 'promised':
        if (message.instance === this.#instance) this.#promised(message.ticket, message.fence);
        return;
      default:
        return this.#change(message, reply);
    }
  }

  // ---- messages

  #sayFrom(message: Extract<SessionMessage, { type: 'say' }>): void | Promise<void> {
    const { peer, id, body } = message;
    const subscriber = this.#subscribers.get(peer);
    if (subscriber === undefined) {
      if (this.#state === undefined) return this.#refuseWhenSure({ peer, id }, notFound);
      return this.#tell(peer, { type: 'stranger', session: this.#id, conn: peer.conn, id, body });
    }
    return this.#say(subscriber.who, subscriber.fromJson, id, body, { peer, id });
  }

  #say(who: Sender, fromJson: string, id: string, body: unknown, from: Requester): void | Promise<void> {
    if (this.#ids === undefined) {
      return this.#loadIds().then(
        () => this.#say(who, fromJson, id, body, from),
        (error: unknown) => this.#refuse(from, toRefusal(error)),
      );
    }
    const hash = idHash(who.id, id);
    const places = this.#ids.find(hash);
    if (places !== undefined) return this.#sayAgain(places, who, fromJson, id, body, from);
    this.#sayNew(who, fromJson, id, body, from, hash);
  }

  async #loadIds(): Promise<void> {
    const ids = new MessageIds();
    const isClosed = this.#committed?.state === 'closed';
    await this.#options.history.messageIds(this.#id, isClosed, (seq, sender, id) =>
      ids.add(idHash(sender, id), seq),
    );
    for (const { event } of this.#pending)
      if (event.type === 'message') ids.add(idHash(event.sender, event.id), event.seq);
    this.#ids = ids;
  }

  /** The id may have been used: find the event and compare. Asynchronous when it is cold, which keeps the order. */
  #sayAgain(
    places: number[],
    who: Sender,
    fromJson: string,
    id: string,
    body: unknown,
    from: Requester,
  ): void | Promise<void> {
    for (const [index, seq] of places.entries()) {
      const pending = this.#pending.find((entry) => entry.event.seq === seq);
      if (pending !== undefined) {
        if (pending.event.sender !== who.id || pending.event.id !== id) continue;
        pending.requesters.push('reply' in from ? { ...from, repeat: true } : from);
        return;
      }
      if (seq > (this.#committed?.lastSeq ?? 0)) continue;
      const found = this.#options.history.range(this.#id, seq - 1, seq, 1);
      if (found instanceof Promise) {
        // What was read is used, not read again: it does not come into memory by being read.
        return found.then(
          ([event]) => {
            if (event?.sender === who.id && event.id === id) return this.#sayRepeat(event, from);
            return this.#sayAgain(places.slice(index + 1), who, fromJson, id, body, from);
          },
          (error: unknown) => this.#refuse(from, toRefusal(error)),
        );
      }
      const event = found[0];
      if (event?.sender === who.id && event.id === id) return this.#sayRepeat(event, from);
    }
    this.#sayNew(who, fromJson, id, body, from);
  }

  #sayRepeat(event: EventOut, from: Requester): void {
    if ('reply' in from) {
      from.reply.ok({ seq: event.seq, at: event.at, repeat: true } satisfies Said);
      return;
    }
    const { peer, id } = from;
    this.#tell(peer, { type: 'said', session: this.#id, conn: peer.conn, id, seq: event.seq, at: event.at });
  }

  /** `hash`: of an id that was certainly not there. */
  #sayNew(who: Sender, fromJson: string, id: string, body: unknown, from: Requester, hash?: number): void {
    const decision = decide({ type: 'say', id, body }, this.#state, who);
    if ('refusal' in decision) return this.#refuseWhenSure(from, decision.refusal);
    if (this.#state!.lastSeq >= this.#options.messagesMax) return this.#refuseWhenSure(from, tooLong);
    const seq = this.#state!.lastSeq + 1;
    const at = this.#context.clock.wallMs();
    const event = messageEvent(this.#id, seq, at, who.id, fromJson, id, body);
    if (!this.#append([event], undefined, undefined)) return this.#refuse(from, journalGone);
    // One that was refused may be tried again, and again.
    const known = hash ?? idHash(who.id, id);
    if (hash !== undefined || this.#ids!.find(known)?.includes(seq) !== true) this.#ids!.add(known, seq);
    this.#state = { ...this.#state!, lastSeq: seq };
    this.#pending.push({ event, state: this.#state, requesters: [from], after: [], done: undefined });
  }

  // ---- changes of state

  /** Asks the agent whether the slot is still kept for this session; nothing else of the session waits for that. */
  #assign(agent: Person, reply: Reply | undefined): void {
    const decision = decide({ type: 'assign', agent }, this.#state, systemSender);
    if ('refusal' in decision) return this.#refuseChange(reply, decision.refusal);
    this.#promising.ask(agent, reply);
  }

  #promised(ticket: number, fence: Fence | Refusal): void {
    const asked = this.#promising.take(ticket);
    if (asked !== undefined && 'code' in fence) asked.reply?.fail(fence);
    else if (asked !== undefined && !('code' in fence))
      this.#change({ type: 'assign', agent: asked.agent, fence }, asked.reply);
  }

  #change(message: Change, reply: Reply | undefined): void {
    const now = this.#context.clock;
    const who = 'who' in message ? message.who : systemSender;
    if (message.type !== 'open' && this.#state !== undefined && !mayRead(this.#state, who))
      return this.#refuseChange(reply, notFound);
    const command: Command = message.type === 'open' ? { ...message, id: this.#id } : message;
    const decision = decide(command, this.#state, who);
    if ('refusal' in decision) return this.#refuseChange(reply, decision.refusal);
    const from: Sender = message.type === 'open' ? { kind: 'customer', ...message.customer } : who;
    const at = now.wallMs();
    const before = this.#state;
    let state = this.#state;
    const entries: Pending[] = [];
    for (const [index, body] of decision.events.entries()) {
      const seq = (state?.lastSeq ?? 0) + 1;
      state = evolve(state, { ...body, seq, at, from }, this.#id);
      const last = index === decision.events.length - 1;
      entries.push({
        event: stateEvent(this.#id, seq, at, from, this.#options.ids.next(), body),
        state,
        requesters: [],
        after: [],
        done: last ? (after) => this.#settled(before, after, body.type, reply) : undefined,
      });
    }
    const events = entries.map((entry) => entry.event);
    if (!this.#append(events, state, 'fence' in message ? message.fence : undefined)) {
      reply?.fail(journalGone);
      if (this.#state === undefined) this.#context.stop();
      return;
    }
    if (reply !== undefined) entries.at(-1)!.requesters.push({ reply, repeat: false });
    this.#state = state;
    this.#pending.push(...entries);
  }

  #settled(
    before: SessionState | undefined,
    after: SessionState,
    type: string,
    reply: Reply | undefined,
  ): void {
    reply?.ok(viewOf(after));
    this.#passing.changed(after);
    afterCommit(this.#context.system, type, before, after);
  }

  // ---- the journal, and its word

  #append(events: readonly EventOut[], state: SessionState | undefined, fence: Fence | undefined): boolean {
    const request = { session: this.#id, instance: this.#instance, term: this.#term, events, state, fence };
    return this.#options.journal.append(request);
  }

  #onCommitted(count: number): void {
    const done = this.#pending.splice(0, count);
    const events = done.map((entry) => entry.event);
    this.#committed = done.at(-1)!.state;
    this.#options.history.keep(this.#id, events);
    const session = this.#id;
    this.#subscribers.tellAll((conns) => ({ type: 'events', session, conns, events }));
    this.#heads.changed();
    for (const entry of done) {
      if (entry.done !== undefined) {
        entry.done(entry.state);
        continue;
      }
      for (const requester of entry.requesters) {
        if (!('reply' in requester)) continue;
        const { seq, at } = entry.event;
        requester.reply.ok({ seq, at, repeat: requester.repeat } satisfies Said);
      }
    }
    for (const { after } of done) for (const answer of after) answer(undefined);
  }

  #onFailed(why: Refusal): void {
    const failed = this.#pending;
    this.#pending = [];
    this.#state = this.#committed;
    this.#options.journal.heard(this.#id);
    for (const { requesters } of failed) for (const requester of requesters) this.#refuse(requester, why);
    for (const { after } of failed) for (const answer of after) answer(why);
    if (this.#state === undefined) this.#context.stop();
  }

  #refuseChange(reply: Reply | undefined, why: Refusal): void {
    if (reply !== undefined) this.#refuseWhenSure({ reply, repeat: false }, why);
    if (this.#state === undefined) this.#context.stop();
  }

  /**
   * What was decided on events that are not committed yet is answered with the last of them: it may never come to be.
   * One who was overtaken decides on a state of before: without a write to be refused it has to look.
   */
  #refuseWhenSure(to: Requester, why: Refusal): void {
    const last = this.#pending.at(-1);
    if (last !== undefined) last.after.push((failed) => this.#refuse(to, failed ?? why));
    else
      this.#whenOurs(
        () => this.#refuse(to, why),
        (instead) => this.#refuse(to, instead),
      );
  }

  #refuse(requester: Requester, why: Refusal): void {
    if ('reply' in requester) requester.reply.fail(why);
    else this.#refusePeer(requester.peer, requester.id, why);
  }

  #refusePeer(peer: Peer, id: string, why: Refusal): void {
    this.#tell(peer, { type: 'refused', session: this.#id, conn: peer.conn, id, refusal: why });
  }

  #tell(peer: Peer, message: GatewayMessage): void {
    this.#context.system.ref(gatewayKind, peer.thread).tell(message);
  }

  // ---- readers

  /** Answers from memory only while nobody else can have written since. */
  #confirmed(reply: Reply | undefined, answer: () => void): void {
    this.#whenOurs(answer, (why) => reply?.fail(why));
  }

  #whenOurs(answer: () => void, fail: (why: Refusal) => void): void {
    const confirming = this.#options.journal.confirm(this.#id);
    if (confirming === undefined) return answer();
    confirming.then(
      (isOurs) => (isOurs ? answer() : fail(elsewhere)),
      (error: unknown) => fail(toRefusal(error)),
    );
  }

  #readable(who: Sender, reply: Reply | undefined, read: (state: SessionState) => void): void {
    const state = this.#committed;
    if (state !== undefined && mayRead(state, who)) return read(state);
    reply?.fail(notFound);
    if (this.#state === undefined) this.#context.stop();
  }

  #subscribe(peer: Peer, who: Sender, after: number | 'tail' | 'head'): void {
    const state = this.#committed;
    const isSeen = state !== undefined && mayRead(state, who);
    if (isSeen) this.#subscribers.add(peer, who);
    // One who was overtaken may know less than the connection does already.
    this.#whenOurs(
      () => (isSeen ? this.#snapshot(peer, who, after) : this.#missed(peer, notFound)),
      (why) => this.#missed(peer, why),
    );
    if (this.#state === undefined) this.#context.stop();
  }

  #snapshot(peer: Peer, who: Sender, after: number | 'tail' | 'head'): void {
    const state = this.#committed!;
    const head = state.lastSeq;
    const reset = typeof after === 'number' && after > head;
    const wanted = after === 'tail' ? Math.max(0, head - 5) : after === 'head' ? head : after;
    const from = reset ? 0 : wanted;
    this.#readPage(peer, from, head, (events) => {
      const view: SessionView = viewOf(state);
      const session = this.#id;
      const marks = { ...this.#passing.marks };
      const conn = peer.conn;
      this.#tell(peer, { type: 'snapshot', session, conn, view, events, from, head, reset, marks });
      if (who.kind === 'customer') this.#passing.tellPosition(peer, state);
    });
  }

  #replay(peer: Peer, after: number): void {
    if (this.#subscribers.get(peer) === undefined) return this.#missed(peer, notFound);
    const head = this.#committed?.lastSeq ?? 0;
    this.#readPage(peer, after, head, (events) => {
      this.#tell(peer, { type: 'page', session: this.#id, conn: peer.conn, events, after, head });
    });
  }

  /** Reads a page for a connection without holding up the mailbox; what can't be read is told as `missed`. */
  #readPage(peer: Peer, after: number, head: number, then: (events: readonly EventOut[]) => void): void {
    const events =
      after >= head ? [] : this.#options.history.range(this.#id, after, head, this.#options.pageMax);
    if (!(events instanceof Promise)) return then(events);
    void events.then(then, (error: unknown) => this.#missed(peer, toRefusal(error)));
  }

  #missed(peer: Peer, why: Refusal): void {
    this.#tell(peer, { type: 'missed', session: this.#id, conn: peer.conn, refusal: why });
  }

  /** Neither an assignment nor its end counts before it is committed: then it is waited for. */
  #tellHolder(reply: Reply | undefined): void {
    const last = this.#pending.at(-1);
    const isSure = last === undefined || this.#committed?.agent?.id === this.#state?.agent?.id;
    if (isSure && this.#committed?.state === this.#state?.state) reply?.ok(this.#holder());
    else last?.after.push(() => this.#tellHolder(reply));
  }

  #holder(): Holder {
    const state = this.#state;
    if (state === undefined) this.#context.stop();
    const held = state?.state === 'chatting' ? (state.agent?.id ?? null) : null;
    // A seq that may never be would hide every later word of this session from its agent.
    return { agent: held, state: state?.state ?? 'closed', seq: this.#committed?.lastSeq ?? 0 };
  }
}
