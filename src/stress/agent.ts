import { Line, type Frame, type LineEnd } from './line.ts';
import { Outbox } from './outbox.ts';
import { replyAfter, replyText } from './plan.ts';
import { SessionCheck } from './session-check.ts';
import { dueOf, type World } from './world.ts';

const retryMs = 1000;

interface Held {
  readonly check: SessionCheck;
  /** The seq that is to be reached before all is here again. */
  servedAt: number;
}

/** One agent: takes what it is assigned, and answers every message of its customers after a while. */
export class Agent implements LineEnd {
  readonly line: Line;
  readonly outbox: Outbox;
  readonly #world: World;
  readonly #held = new Map<string, Held>();

  constructor(world: World, place: number, localAddress: string | undefined) {
    this.#world = world;
    this.line = new Line(world, this, place, localAddress);
    this.outbox = new Outbox(world, this.line, true);
  }

  get holds(): number {
    return this.#held.size;
  }

  resume(): Record<string, number> {
    return Object.fromEntries([...this.#held].map(([session, { check }]) => [session, check.lastSeq]));
  }

  ready(frame: Frame): void {
    const known = new Set((frame.sessions as Frame[]).map(({ id }) => id as string));
    for (const session of this.#held.keys()) if (!known.has(session)) this.#release(session);
    for (const { id, last_seq: lastSeq } of frame.sessions as Frame[]) {
      const held = this.#held.get(id);
      // An agent follows from the head that `ready` tells, unless it resumes.
      if (held === undefined) this.#hold(id, lastSeq);
      else held.servedAt = lastSeq;
    }
    if (frame.me.presence !== 'online') this.#goOnline();
    this.#lookServed();
    this.outbox.resend();
  }

  offline(): void {
    this.line.send({ t: 'presence', ref: 'offline', state: 'offline' });
  }

  /** All that it still holds is compared with the history. */
  remember(): void {
    for (const [session, { check }] of this.#held) this.#remember(session, check);
  }

  lost(): void {
    // The line comes again by itself.
  }

  frame(frame: Frame): void {
    switch (frame.t) {
      case 'ack': {
        this.#held.get(frame.session)?.check.ack(frame.id, frame.seq, frame.repeat === true);
        this.outbox.acked(frame);
        return this.#lookServed();
      }
      case 'event':
        return this.#event(frame);
      case 'assigned':
        return this.#assigned(frame);
      case 'released':
        return this.#release(frame.session);
      case 'reset':
        return this.#held.get(frame.session)?.check.reset();
      case 'error':
        return this.#error(frame);
      default:
    }
  }

  #goOnline(): void {
    this.line.send({ t: 'presence', ref: 'online', state: 'online' });
  }

  #hold(session: string, lastSeq: number): Held {
    const check = new SessionCheck(lastSeq, (kind, seq, what) =>
      this.#world.tally.breach(kind, session, seq, `agent: ${what}`),
    );
    const held = { check, servedAt: 0 };
    this.#held.set(session, held);
    return held;
  }

  #assigned({ session, events }: Frame): void {
    const { startedWallMs, run } = this.#world;
    if (session.attributes?.stress !== run && Date.parse(session.opened_at) < startedWallMs) {
      // Left over from a run that was killed: it would take room from those of this one.
      this.line.send({ t: 'close', ref: 'leftover', session: session.id, reason: 'stress' });
      return;
    }
    const lastSeq = (events as Frame[]).at(-1)?.seq ?? session.last_seq;
    const held = this.#held.get(session.id);
    if (held === undefined) this.#hold(session.id, lastSeq);
    else held.check.restart(lastSeq);
    const message = (events as Frame[]).findLast(({ type }) => type === 'message');
    if (message?.from.kind === 'customer') this.#reply(session.id);
  }

  #event(event: Frame): void {
    const { tally, nowMs, run } = this.#world;
    const held = this.#held.get(event.session);
    if (held === undefined) return;
    held.check.event(event.seq, event.id, event.body?.text);
    this.#lookServed();
    if (event.type !== 'message' || event.from.kind !== 'customer') return;
    tally.counts.delivered += 1;
    const due = dueOf(run, event.id);
    if (due !== undefined && !this.line.isExcused) tally.time('delivery', nowMs() - due);
    this.#reply(event.session);
  }

  #reply(session: string): void {
    const { after, chance, pace, nowMs, tally } = this.#world;
    const waitMs = replyAfter(chance, pace);
    const dueMs = nowMs() + waitMs;
    after(waitMs, () => {
      const held = this.#held.get(session);
      if (held === undefined || this.#world.isOver) return;
      tally.time('lag', nowMs() - dueMs);
      tally.counts.said += 1;
      this.outbox.say(session, held.check, replyText(chance), dueMs);
    });
  }

  #release(session: string): void {
    const held = this.#held.get(session);
    if (held === undefined) return;
    this.#held.delete(session);
    this.#remember(session, held.check);
  }

  #remember(session: string, check: SessionCheck): void {
    const { node, localAddress, token } = this.line;
    this.#world.ledger.add({ session, check, token, node, localAddress });
  }

  #lookServed(): void {
    if (this.line.isServed) return;
    for (const { check, servedAt } of this.#held.values()) if (check.lastSeq < servedAt) return;
    this.line.served();
  }

  #error(frame: Frame): void {
    const { tally, after } = this.#world;
    if (this.outbox.refused(frame)) return;
    if (frame.code === 'rate_limited' || frame.code === 'busy' || frame.code === 'unavailable') {
      tally.counts.refused += 1;
      if (frame.ref === 'online') after(frame.retry_after_ms ?? retryMs, () => this.#goOnline());
    } else tally.error(`${frame.ref ?? 'agent'}: ${frame.code}`);
  }
}
