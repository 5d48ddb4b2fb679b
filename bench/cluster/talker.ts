import { realClock } from '../../src/core/real-clock.ts';
import type { Met } from '../support/meet.ts';
import { RawClient } from '../../src/stress/raw-client.ts';

/** What all talkers of a process share. */
export interface Company {
  /** Where a client may connect now. */
  ports: readonly number[];
  /** Frames out of order, lost, repeated or refused for good: anything but none fails the run. */
  readonly faults: string[];
  said: number;
  acked: number;
  /** Connections made after the first. */
  reconnects: number;
  /** Said again: refused with `unavailable` or `busy`, not answered in time, or on a new connection. */
  again: number;
  /** Called with each ack that stands for an event. */
  onAck: ((session: string, seq: number) => void) | undefined;
}

interface Pending {
  readonly number: number;
  /** By the clock that all processes share. */
  readonly saidMs: number;
  sentMs: number;
}

/** A message said and acked: both times. */
export type Ack = readonly [saidMs: number, ackedMs: number];

interface Frame {
  readonly t: string;
  readonly ref?: number;
  readonly session?: string;
  readonly seq?: number;
  readonly repeat?: boolean;
  readonly code?: string;
  readonly retry_after_ms?: number;
}

const text = 'Is the blue one in stock in size 42, and when would it be here? 谢谢!';
/** What was not answered for so long is said again, with the same id. */
const againMs = 2000;
const pauseMs = 20;

/**
 * One side of a session, as a good client is: it follows its session through refusals, lost answers and lost
 * connections, says again under the same id what was not acked, resumes where it was, and checks that every seq comes
 * once and in order. A customer says things at a steady pace whatever comes back; its agent listens.
 */
export class Talker {
  readonly session: string;
  readonly kind: Met['kind'];
  lastSeq: number;
  /** Where it is connected, or was last. */
  port: number;
  /** Since `acks` was emptied. */
  acks: Ack[] = [];
  readonly #company: Company;
  readonly #home: number;
  readonly #token: string;
  readonly #pending = new Map<number, Pending>();
  #client: RawClient;
  #isReady = true;
  #next = 1;

  constructor({ session, kind, lastSeq, port, token, client }: Met, company: Company) {
    this.session = session;
    this.kind = kind;
    this.lastSeq = lastSeq;
    this.port = port;
    this.#home = port;
    this.#token = token;
    this.#company = company;
    this.#client = client;
    this.#listen(client);
  }

  get open(): number {
    return this.#pending.size;
  }

  say(): void {
    const pending = { number: this.#next, saidMs: realClock.nowMs(), sentMs: 0 };
    this.#next += 1;
    this.#company.said += 1;
    this.#pending.set(pending.number, pending);
    if (this.#isReady) this.#send(pending);
  }

  /** Now and then: says again what was not answered. */
  tick(nowMs: number): void {
    if (!this.#isReady) return;
    for (const pending of this.#pending.values()) {
      if (nowMs - pending.sentMs < againMs) continue;
      this.#company.again += 1;
      this.#send(pending);
    }
  }

  ping(): void {
    if (this.#isReady) this.#client.send({ t: 'ping' });
  }

  /** Back to where it was first. */
  goHome(): void {
    if (this.port === this.#home || !this.#company.ports.includes(this.#home)) return;
    this.#leave();
    void this.#connect(this.#home);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  #send(pending: Pending): void {
    pending.sentMs = realClock.nowMs();
    const { number } = pending;
    this.#client.send({ t: 'say', session: this.session, ref: number, id: `${number}`, body: text });
  }

  #listen(client: RawClient): void {
    client.onFrame = (input, start, end) => {
      if (client === this.#client) this.#take(JSON.parse(input.toString('utf8', start, end)) as Frame);
    };
    client.onClose = () => {
      if (client !== this.#client || !this.#isReady) return;
      this.#isReady = false;
      void this.#connect(this.#elsewhere());
    };
  }

  #leave(): void {
    this.#isReady = false;
    this.#client.close();
  }

  #elsewhere(): number {
    const { ports } = this.#company;
    const others = ports.filter((port) => port !== this.port);
    return others[(this.#next + this.#home) % others.length] ?? this.port;
  }

  /** Until it is connected: to this port first, then to those that are left. */
  async #connect(first: number): Promise<void> {
    for (let port = first; ; port = this.#elsewhere()) {
      this.port = port;
      try {
        const client = await RawClient.connect(port);
        this.#client = client;
        this.#listen(client);
        const ready = new Promise<void>((resolve, reject) => {
          const take = client.onFrame;
          // Events may come in the same read as `ready`: this must not wait for a promise to look at them.
          client.onFrame = (input, start, end) => {
            client.onFrame = take;
            if (input.toString('latin1', start, end).includes('"t":"ready"')) resolve();
            else reject(new Error(input.toString('utf8', start, end)));
          };
          client.onClose = () => reject(new Error('closed'));
        });
        client.send({ t: 'hello', token: this.#token, resume: { [this.session]: this.lastSeq } });
        await ready;
        this.#isReady = true;
        this.#listen(client);
        this.#company.reconnects += 1;
        for (const pending of this.#pending.values()) this.#send(pending);
        this.#company.again += this.#pending.size;
        return;
      } catch {
        this.#client.close();
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  #take(frame: Frame): void {
    if (frame.t === 'goaway') {
      this.#leave();
      return void this.#connect(this.#elsewhere());
    }
    if (frame.t === 'error') return this.#refused(frame);
    if (frame.session !== this.session) return;
    if (frame.t === 'event') return this.#follow(frame);
    if (frame.t === 'reset' || frame.t === 'released') return this.#fault(frame);
    if (frame.t !== 'ack') return;
    if (frame.repeat !== true) {
      this.#follow(frame);
      this.#company.onAck?.(this.session, frame.seq!);
    }
    const pending = this.#pending.get(frame.ref!);
    if (pending === undefined) return;
    this.#pending.delete(frame.ref!);
    this.#company.acked += 1;
    this.acks.push([pending.saidMs, realClock.nowMs()]);
  }

  #follow(frame: Frame): void {
    if (frame.seq !== this.lastSeq + 1) this.#fault(frame);
    this.lastSeq = frame.seq!;
  }

  #refused(frame: Frame): void {
    const pending = this.#pending.get(frame.ref ?? 0);
    // Refused again though it was acked meanwhile: it was said twice.
    if (pending === undefined && frame.ref !== undefined) return;
    if (pending === undefined || (frame.code !== 'unavailable' && frame.code !== 'busy'))
      return this.#fault(frame);
    // The next tick after the time that was asked for.
    pending.sentMs = realClock.nowMs() - againMs + (frame.retry_after_ms ?? 0);
  }

  #fault(frame: Frame): void {
    this.#company.faults.push(
      `${this.kind} of ${this.session} after ${this.lastSeq}: ${JSON.stringify(frame)}`,
    );
  }
}
