import { ask, isRefused } from './ask.ts';
import { Line, type Frame, type LineEnd } from './line.ts';
import { Outbox } from './outbox.ts';
import type { Conversation } from './plan.ts';
import { SessionCheck } from './session-check.ts';
import { dueOf, type World } from './world.ts';

/** From when it should have ended: who is not served by then goes without. */
const patienceMs = 60_000;
const retryMs = 1000;
const quietMs = 300;

/** One customer: comes, waits, talks as planned whatever the server does, drops and resumes, leaves, and rates. */
export class Customer implements LineEnd {
  readonly outbox: Outbox;
  readonly line: Line;
  session: string | undefined;
  readonly #world: World;
  readonly #plan: Conversation;
  readonly #dueMs: number;
  readonly #ended: (customer: Customer) => void;
  #check: SessionCheck | undefined;
  /** What was due before there was a session. */
  #early: { text: string; dueMs: number }[] = [];
  #openedMs = 0;
  #isAssigned = false;
  #servedAt = 0;
  #isClosing = false;
  #isDone = false;

  constructor(
    world: World,
    plan: Conversation,
    from: { dueMs: number; place: number; localAddress: string | undefined },
    ended: (customer: Customer) => void,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#dueMs = from.dueMs;
    this.#ended = ended;
    this.line = new Line(world, this, from.place, from.localAddress);
    this.outbox = new Outbox(world, this.line, false);
  }

  /** Arrives. All its timers count from when it was due. */
  start(): void {
    const { tally } = this.#world;
    tally.counts.arrived += 1;
    this.#next(0);
    void this.#register(0);
  }

  // ---- by plan

  #next(turn: number): void {
    const { nowMs, after, tally } = this.#world;
    const planned = this.#plan.turns[turn];
    const dueMs = this.#dueMs + (planned?.afterMs ?? this.#plan.closeAfterMs);
    after(dueMs - nowMs(), () => {
      if (this.#world.isOver || this.#isDone) return;
      tally.time('lag', nowMs() - dueMs);
      if (planned === undefined) return this.leave();
      this.#say(planned.text, dueMs, planned.drop !== undefined);
      if (planned.drop !== undefined)
        after(planned.drop === 'quiet' ? quietMs : 0, () => this.#drop(planned.awayMs));
      this.#next(turn + 1);
    });
  }

  #say(text: string, dueMs: number, isLost: boolean): void {
    this.#world.tally.counts.said += 1;
    if (this.session === undefined) this.#early.push({ text, dueMs });
    else this.outbox.say(this.session, this.#check!, text, dueMs, isLost);
  }

  #drop(awayMs: number): void {
    if (this.#world.isOver || !this.line.isReady) return;
    this.#world.tally.counts.dropped += 1;
    this.line.cut(awayMs);
    this.outbox.excuse();
  }

  /** Closes its session when all that it said is acked. */
  leave(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#world.after(patienceMs, () => {
      if (this.#isDone) return;
      this.#world.tally.counts.gaveUp += 1;
      this.end();
    });
    this.#tryLeave();
  }

  #tryLeave(): void {
    if (!this.#isClosing || !this.line.isReady || this.outbox.size > 0) return;
    if (this.session === undefined) return;
    this.line.send({ t: 'close', ref: 'close', session: this.session });
  }

  // ---- who it is

  async #register(attempt: number): Promise<void> {
    const { chance, tally, nowMs, after, run } = this.#world;
    const again = (waitMs: number): void => {
      this.line.elsewhere();
      after(waitMs * (0.75 + 0.5 * chance.next()), () => {
        if (!this.#isDone && !this.#world.isOver) void this.#register(attempt + 1);
      });
    };
    const sentMs = nowMs();
    try {
      const { node, localAddress } = this.line;
      const body = { name: `Stress ${run}`, attributes: { stress: run } };
      const answer = await ask(node, 'POST', '/v1/visitors', { body, localAddress });
      tally.time('http', nowMs() - sentMs);
      if (this.#isDone) return;
      if (answer.status === 201) return this.line.open(answer.body.token, this.#dueMs);
      if (isRefused(answer)) tally.counts.refused += 1;
      else tally.error(`visitors: ${answer.status}`);
      again(answer.retryAfterMs ?? retryMs);
    } catch (error) {
      tally.error(`visitors: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
      again(retryMs * Math.min(10, 1 + attempt));
    }
  }

  // ---- its connection

  resume(): Record<string, number> {
    return this.session === undefined ? {} : { [this.session]: this.#check!.lastSeq };
  }

  ready(frame: Frame): void {
    const [open] = frame.sessions as Frame[];
    if (this.session === undefined) {
      this.line.served();
      // The answer to `open` was lost, and the session is there.
      if (open !== undefined) return this.#opened(open);
      return this.#open();
    }
    const mine = (frame.sessions as Frame[]).find(({ id }) => id === this.session);
    this.#servedAt = mine?.last_seq ?? 0;
    this.#lookServed();
    this.outbox.resend();
    this.#tryLeave();
  }

  #open(): void {
    const { group, run } = this.#world;
    this.line.send({ t: 'open', ref: 'open', group, attributes: { stress: run } });
  }

  #opened(session: Frame): void {
    if (this.session !== undefined) return;
    this.session = session.id as string;
    this.#openedMs = this.#world.nowMs();
    this.#check = new SessionCheck(0, (kind, seq, what) =>
      this.#world.tally.breach(kind, this.session!, seq, `customer: ${what}`),
    );
    for (const { text, dueMs } of this.#early) this.outbox.say(this.session, this.#check, text, dueMs);
    this.#early = [];
    this.#tryLeave();
  }

  #lookServed(): void {
    if (!this.line.isServed && this.#check!.lastSeq >= this.#servedAt) this.line.served();
  }

  lost(): void {
    // The line comes again by itself.
  }

  frame(frame: Frame): void {
    switch (frame.t) {
      case 'ack':
        this.#check?.ack(frame.id, frame.seq, frame.repeat === true);
        this.outbox.acked(frame);
        this.#lookServed();
        return this.#tryLeave();
      case 'event':
        return this.#event(frame);
      case 'opened':
        return this.#opened(frame.session);
      case 'reset':
        return this.#check?.reset();
      case 'error':
        return this.#error(frame);
      default:
    }
  }

  #event(event: Frame): void {
    const { tally, nowMs, run } = this.#world;
    if (event.session !== this.session || this.#check === undefined)
      return tally.error('an event of a session that is not ours');
    this.#check.event(event.seq, event.id, event.body?.text);
    if (event.type === 'message' && event.from.kind !== 'customer') {
      tally.counts.delivered += 1;
      const due = dueOf(run, event.id);
      if (due !== undefined && !this.line.isExcused) tally.time('delivery', nowMs() - due);
    }
    if (event.type === 'assigned' && !this.#isAssigned) {
      this.#isAssigned = true;
      tally.time('wait', nowMs() - this.#openedMs);
    }
    this.#lookServed();
    if (event.type === 'closed') void this.#closed();
  }

  #error(frame: Frame): void {
    const { tally, after } = this.#world;
    if (this.outbox.refused(frame)) return;
    // Closed before: the answer to the first try was lost with its connection.
    if (frame.ref === 'close' && frame.code === 'invalid_transition') return void this.#closed();
    const isRetryable =
      frame.code === 'rate_limited' || frame.code === 'busy' || frame.code === 'unavailable';
    if (!isRetryable) return tally.error(`${frame.ref ?? 'connection'}: ${frame.code}`);
    tally.counts.refused += 1;
    after(frame.retry_after_ms ?? retryMs, () => {
      if (this.#isDone || !this.line.isReady) return;
      if (frame.ref === 'open' && this.session === undefined) this.#open();
      if (frame.ref === 'close') this.#tryLeave();
    });
  }

  // ---- its end

  async #closed(): Promise<void> {
    if (this.#isDone) return;
    const { tally } = this.#world;
    // Those that are closed in the end, to leave nothing open, are not what was asked for.
    if (!this.#world.isOver) tally.counts.closed += 1;
    if (this.outbox.size > 0) tally.error('closed with messages unacked');
    this.end();
    if (this.#plan.score === undefined || this.#world.isOver) return;
    try {
      const { node, localAddress, token } = this.line;
      const path = `/v1/sessions/${this.session}/rating`;
      const answer = await ask(node, 'POST', path, {
        token,
        localAddress,
        body: { score: this.#plan.score },
      });
      if (answer.status === 201) tally.counts.rated += 1;
      else if (isRefused(answer)) tally.counts.refused += 1;
      else tally.error(`rating: ${answer.status}`);
    } catch (error) {
      tally.error(`rating: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
    }
  }

  /** Its session goes to the ledger, so that it is compared with its history once all is over. */
  end(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.remember();
    this.line.close();
    this.#ended(this);
  }

  remember(): void {
    if (this.session === undefined) return;
    const { node, localAddress, token } = this.line;
    this.#world.ledger.add({ session: this.session, check: this.#check!, token, node, localAddress });
  }
}
