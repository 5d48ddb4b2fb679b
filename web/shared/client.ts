import type { Api } from './api.ts';
import { Connection, type Link } from './connection.ts';
import { uuid } from './ids.ts';
import { Outbox, type OutboxItem } from './outbox.ts';
import { isPassing, Refused } from './protocol.ts';
import type { Body, ChatEvent, Limits, Me, ReadyFrame, ServerFrame, Session } from './protocol.ts';
import { SessionModel } from './session-model.ts';

const GAP_WAIT_MS = 400;
const GAP_RETRY_MS = 3_000;
const TYPING_EVERY_MS = 2_500;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const PAGE = 50;
/** Sessions kept that were only looked at; who looks again reads them again. */
const VIEWED_MAX = 20;

export interface ClientHooks {
  /** Something a person can see has changed. Called often; the page gathers the calls. */
  changed(): void;
  /** A live event, once, in its place in the order; never for history. */
  arrived(model: SessionModel, event: ChatEvent): void;
  /** Every frame, after the client has taken it. */
  frame(frame: ServerFrame): void;
  stopped(reason: string): void;
}

export interface ClientOptions {
  base: string;
  api: Api;
  outbox: Outbox;
  hooks: ClientHooks;
  /** Where sessions of an earlier page went up to; their history is asked for when it is scrolled to. */
  remembered?: Record<string, number>;
  /** A customer's way to begin, for the first message and for `open()`. */
  opening?: () => { group?: string; subject?: string; attributes?: Record<string, unknown> };
}

/**
 * Sessions over one connection. What it promises the page: logs without holes or repeats, and that every message
 * given to `say` is delivered once, in the order of one session, however often the network or the page goes away.
 */
export class ChatClient {
  me: Me | null = null;
  limits: Limits = { message_chars: 16_000, upload_bytes: 10 << 20, frame_bytes: 65_536, history_max: 100 };
  readonly models = new Map<string, SessionModel>();
  readonly outbox: Outbox;
  readonly connection: Connection;
  readonly #api: Api;
  readonly #hooks: ClientHooks;
  readonly #options: ClientOptions;
  readonly #remembered: Record<string, number>;
  #opening: Promise<SessionModel> | null = null;
  #sending = new Set<string>();
  #pauses = new Map<string, { until: number; tries: number }>();
  #gapTimers = new Map<string, ReturnType<typeof setTimeout>>();
  #typedAt = new Map<string, number>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#api = options.api;
    this.#hooks = options.hooks;
    this.#remembered = options.remembered ?? {};
    this.outbox = options.outbox;
    this.connection = new Connection(options.base, {
      hello: () => ({ token: this.#api.token, resume: this.#resume() }),
      frame: (frame) => this.#frame(frame),
      link: (link) => this.#linked(link),
    });
  }

  #resume(): Record<string, number> {
    const resume: Record<string, number> = { ...this.#remembered };
    for (const model of this.models.values()) {
      if (model.live && !model.closed) resume[model.id] = model.log.head;
      else delete resume[model.id];
    }
    return resume;
  }

  #linked(link: Link): void {
    if (link.name === 'stopped') this.#hooks.stopped(link.reason);
    this.#hooks.changed();
  }

  #frame(frame: ServerFrame): void {
    switch (frame.t) {
      case 'ready':
        this.#ready(frame);
        break;
      case 'event':
        this.#event(frame);
        break;
      case 'ack':
        this.#acked(frame);
        break;
      case 'opened':
        this.#take(frame.session, this.#remembered[frame.session.id] ?? 0);
        break;
      case 'assigned': {
        const model = this.#take(frame.session, frame.session.last_seq);
        this.#apply(model, frame.events, true);
        break;
      }
      case 'released':
        this.#release(frame.session, frame.reason);
        break;
      case 'reset':
        this.models.get(frame.session)?.log.reset();
        break;
      case 'queue': {
        const model = this.models.get(frame.session);
        if (model) model.queue = { position: frame.position, ahead: frame.ahead, etaMs: frame.eta_ms };
        break;
      }
      case 'typing':
        this.models.get(frame.session)?.noteTyping(frame.from);
        setTimeout(() => this.#hooks.changed(), 5_050);
        break;
      case 'read':
        this.models.get(frame.session)?.markRead(frame.from.kind, frame.seq);
        break;
      default:
        break;
    }
    this.#hooks.frame(frame);
    this.#hooks.changed();
  }

  #ready(frame: ReadyFrame): void {
    this.me = frame.me;
    if (frame.limits) this.limits = frame.limits;
    const listed = new Set(frame.sessions.map((session) => session.id));
    for (const session of frame.sessions) {
      const fresh = frame.me.kind === 'customer' ? 0 : session.last_seq;
      const model = this.#take(session, this.#remembered[session.id] ?? fresh);
      const marks = frame.reads?.[session.id];
      if (marks?.customer) model.markRead('customer', marks.customer);
      if (marks?.agent) model.markRead('agent', marks.agent);
    }
    for (const model of this.models.values()) {
      if (listed.has(model.id) || !model.live || model.closed) continue;
      if (frame.me.kind === 'customer') void this.#catchUp(model);
      else this.#release(model.id, 'away');
    }
    this.#pauses.clear();
    this.#pump();
  }

  #take(session: Session, base: number): SessionModel {
    let model = this.models.get(session.id);
    if (!model) {
      model = new SessionModel({ ...session }, base);
      this.models.set(session.id, model);
    }
    model.session = { ...session };
    model.live = true;
    model.released = null;
    this.#watchGap(model, GAP_WAIT_MS);
    return model;
  }

  #release(id: string, reason: string): void {
    const model = this.models.get(id);
    if (!model) return;
    model.live = false;
    model.released = reason;
    model.typing.clear();
  }

  #event(event: ChatEvent): void {
    const model = this.models.get(event.session);
    if (model) this.#apply(model, [event], true);
  }

  #acked(frame: Extract<ServerFrame, { t: 'ack' }>): void {
    const item = this.outbox.remove(frame.id);
    const model = this.models.get(frame.session);
    if (!item || !model || !this.me) return;
    const { kind, id, name } = this.me;
    const { session, seq, at } = frame;
    this.#apply(
      model,
      [{ session, seq, id: frame.id, type: 'message', from: { kind, id, name }, at, body: item.body }],
      true,
    );
  }

  #apply(model: SessionModel, events: readonly ChatEvent[], live: boolean): void {
    for (const event of events) {
      // Our own message through another door (resume after an unanswered say, a second tab): it has been delivered.
      if (event.id !== undefined && event.from?.id === this.me?.id) this.outbox.remove(event.id);
      const risen = model.log.add(event);
      model.evolve(risen);
      if (live) for (const each of risen) this.#hooks.arrived(model, each);
    }
    this.#watchGap(model, GAP_WAIT_MS);
  }

  /** A gap may be closing by itself (resume is still streaming in), so it is asked for only after a moment. */
  #watchGap(model: SessionModel, waitMs: number): void {
    if (!model.log.gap(model.session.last_seq) || this.#gapTimers.has(model.id)) return;
    const timer = setTimeout(() => {
      this.#gapTimers.delete(model.id);
      void this.#fillGap(model);
    }, waitMs);
    this.#gapTimers.set(model.id, timer);
  }

  async #fillGap(model: SessionModel): Promise<void> {
    const gap = model.log.gap(model.session.last_seq);
    if (!gap || this.connection.link.name !== 'ready') return;
    try {
      await this.#page(model, gap.before, Math.min(gap.count, this.limits.history_max), true);
      this.#watchGap(model, 0);
    } catch {
      this.#watchGap(model, GAP_RETRY_MS);
    }
    this.#hooks.changed();
  }

  async #page(model: SessionModel, before: number, limit: number, live: boolean): Promise<void> {
    const page = await this.#history(model, before, limit);
    const rated = page.events.find((event) => event.type === 'rated');
    if (rated) model.rated = rated.score ?? 0;
    const risen = model.log.addPage(page.events, before, page.more, model.id);
    model.evolve(risen);
    if (live) for (const event of risen) this.#hooks.arrived(model, event);
  }

  async #history(model: SessionModel, before: number, limit: number) {
    if (model.live && !model.closed) {
      return this.connection.request({ t: 'history', session: model.id, before, limit }, 'events');
    }
    const after = Math.max(0, before - 1 - limit);
    const page = await this.#api.events(model.id, after, limit);
    return { events: page.data.filter((event) => event.seq < before), more: after > 0 };
  }

  /** A page of what came before; false when there is nothing earlier or it could not be had. */
  async older(model: SessionModel): Promise<boolean> {
    if (model.loading || model.log.first <= 1) return false;
    model.loading = true;
    this.#hooks.changed();
    try {
      await this.#page(model, model.log.first, PAGE, false);
      return true;
    } catch {
      return false;
    } finally {
      model.loading = false;
      this.#hooks.changed();
    }
  }

  /** A session that ended while nobody was connected: it is not in `ready`, but its end wants to be seen. */
  async #catchUp(model: SessionModel): Promise<void> {
    try {
      model.session = await this.#api.session(model.id);
      this.#watchGap(model, 0);
    } catch (error) {
      if (error instanceof Refused && error.code === 'not_found') this.models.delete(model.id);
    }
    this.#hooks.changed();
  }

  /** Any session by id, also one that is not live here: read over HTTP, from its end backwards. */
  async view(id: string): Promise<SessionModel> {
    const known = this.models.get(id);
    if (known?.live) return known;
    const session = await this.#api.session(id);
    const model = new SessionModel(session, session.last_seq);
    model.live = false;
    // At the end, so that those looked at longest ago come first.
    this.models.delete(id);
    this.models.set(id, model);
    const viewed = [...this.models.values()].filter((one) => !one.live && one.released === null);
    for (const one of viewed.slice(0, -VIEWED_MAX)) this.models.delete(one.id);
    await this.older(model);
    return model;
  }

  /** The customer's open session, or a new one. */
  open(): Promise<SessionModel> {
    this.#opening ??= this.connection
      .request({ t: 'open', ...this.#options.opening?.() }, 'opened')
      .then((frame) => this.models.get(frame.session.id)!)
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }

  /** False when the outbox is full: nothing was taken, the writer keeps the text. */
  say(session: string | null, body: Body): boolean {
    const taken = this.outbox.add({ id: uuid(), session, body, at: new Date().toISOString() });
    this.#pump();
    this.#hooks.changed();
    return taken;
  }

  /** A failed message, by the person's wish: once more with the same id, in this session or a new one. */
  retry(item: OutboxItem, session: string | null): void {
    delete item.failed;
    item.session = session;
    this.outbox.update(item);
    this.#pump();
    this.#hooks.changed();
  }

  discard(item: OutboxItem): void {
    this.outbox.remove(item.id);
    this.#hooks.changed();
  }

  /** One message in flight a session: with two, a refused first and an accepted second would change places. */
  #pump(): void {
    if (this.connection.link.name !== 'ready') return;
    const seen = new Set<string>();
    for (const item of this.outbox.items) {
      const key = item.session ?? '';
      if (item.failed || seen.has(key)) continue;
      seen.add(key);
      if (this.#sending.has(key) || Date.now() < (this.#pauses.get(key)?.until ?? 0)) continue;
      void this.#deliver(item, key);
    }
  }

  async #deliver(item: OutboxItem, key: string): Promise<void> {
    this.#sending.add(key);
    try {
      if (item.session === null) await this.#bind();
      const { id, session, body } = item;
      if (session !== null) await this.connection.request({ t: 'say', session, id, body }, 'ack');
      this.#pauses.delete(key);
    } catch (error) {
      this.#undelivered(item, key, error instanceof Refused ? error : new Refused('internal', String(error)));
    } finally {
      this.#sending.delete(key);
    }
    this.#pump();
    this.#hooks.changed();
  }

  /** Opens a session and gives it to every message that was written without one. */
  async #bind(): Promise<void> {
    const model = await this.open();
    for (const item of this.outbox.items) {
      if (item.session !== null) continue;
      item.session = model.id;
      this.outbox.update(item);
    }
  }

  #undelivered(item: OutboxItem, key: string, refusal: Refused): void {
    if (refusal.code === 'disconnected') return;
    if (!isPassing(refusal.code)) {
      item.failed = refusal.code;
      this.outbox.update(item);
      return;
    }
    const tries = (this.#pauses.get(key)?.tries ?? 0) + 1;
    const backoff = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
    const waitMs = refusal.retryAfterMs ?? backoff;
    this.#pauses.set(key, { until: Date.now() + waitMs, tries });
    setTimeout(() => this.#pump(), waitMs + 5);
  }

  typing(session: string): void {
    const now = Date.now();
    if (now - (this.#typedAt.get(session) ?? 0) < TYPING_EVERY_MS) return;
    this.#typedAt.set(session, now);
    this.connection.send({ t: 'typing', session });
  }

  /** Everything up to the head has been looked at. */
  read(model: SessionModel): void {
    if (!this.me || !model.live || model.closed) return;
    const side = this.me.kind === 'customer' ? 'customer' : 'agent';
    const seq = model.log.head;
    if (seq <= model.reads[side] || seq < 1 || model.log.get(seq) === undefined) return;
    if (this.connection.send({ t: 'read', session: model.id, seq })) model.markRead(this.me.kind, seq);
  }
}
