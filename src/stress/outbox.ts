import type { Frame, Line } from './line.ts';
import type { SessionCheck } from './session-check.ts';
import { messageId, type World } from './world.ts';

interface Pending {
  readonly session: string;
  readonly check: SessionCheck;
  readonly text: string;
  dueMs: number;
  sentMs: number;
}

/** What was not answered for so long is said again with the same id, as the contract's promise 6 has it. */
const againMs = 5000;

/** What one person has said and has no ack of: said again, under the same id, after each loss or refusal. */
export class Outbox {
  readonly #world: World;
  readonly #line: Line;
  readonly #isHurried: boolean;
  readonly #pending = new Map<string, Pending>();

  /** `isHurried`: the other side may close the session meanwhile, so that a refusal for this is no error. */
  constructor(world: World, line: Line, isHurried: boolean) {
    this.#world = world;
    this.#line = line;
    this.#isHurried = isHurried;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** `isLost`: its sender is going to be cut off by plan before it may have left, so that how long it takes tells nothing. */
  say(session: string, check: SessionCheck, text: string, dueMs: number, isLost = false): void {
    const { nowMs } = this.#world;
    // Nobody talks while away by plan: it is due when the connection is.
    const isAway = this.#line.isExcused;
    // A timer may come a little early: then it counts from when it came.
    const due = isAway ? Math.max(dueMs, this.#line.dueMs) : Math.min(dueMs, nowMs());
    const id = messageId(this.#world, isLost ? undefined : due);
    check.say(id, text);
    const pending = { session, check, text, dueMs: due, sentMs: nowMs() };
    this.#pending.set(id, pending);
    if (this.#line.isReady) this.#send(id, pending);
  }

  /** Connected again. */
  resend(): void {
    for (const [id, pending] of this.#pending) this.#sayAgain(id, pending);
  }

  /** The person cuts the connection by plan: what waits is due when it is back. */
  excuse(): void {
    for (const pending of this.#pending.values()) pending.dueMs = Math.max(pending.dueMs, this.#line.dueMs);
  }

  acked(frame: Frame): void {
    const { tally, nowMs } = this.#world;
    const pending = this.#pending.get(frame.id);
    if (pending === undefined) return;
    pending.check.ack(frame.id, frame.seq, true);
    this.#pending.delete(frame.id);
    tally.counts.acked += 1;
    tally.time('ack', nowMs() - pending.dueMs);
  }

  /** An error frame that answers a message; false when it does not. */
  refused(frame: Frame): boolean {
    const id = String(frame.ref);
    const pending = this.#pending.get(id);
    if (pending === undefined) return false;
    const { tally, after, chance } = this.#world;
    if (frame.code === 'rate_limited' || frame.code === 'busy' || frame.code === 'unavailable') {
      tally.counts.refused += 1;
      const waitMs = (frame.retry_after_ms ?? 500) * (1 + 0.5 * chance.next());
      after(waitMs, () => {
        if (this.#pending.has(id) && this.#line.isReady) this.#sayAgain(id, pending);
      });
    } else {
      const isLate = frame.code === 'invalid_transition' || frame.code === 'not_participant';
      if (!isLate || !this.#isHurried) tally.error(`say: ${frame.code}`);
      this.#pending.delete(id);
    }
    return true;
  }

  tick(nowMs: number): void {
    if (!this.#line.isReady) return;
    for (const [id, pending] of this.#pending)
      if (nowMs - pending.sentMs > againMs) this.#sayAgain(id, pending);
  }

  #sayAgain(id: string, pending: Pending): void {
    this.#world.tally.counts.again += 1;
    this.#send(id, pending);
  }

  #send(id: string, pending: Pending): void {
    pending.sentMs = this.#world.nowMs();
    this.#line.send({ t: 'say', ref: id, session: pending.session, id, body: pending.text });
  }
}
