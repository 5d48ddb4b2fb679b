import { Packr, RESERVE_START_SPACE, Unpackr } from 'msgpackr';
import type { Envelope, ThreadId } from '../actors/engine/types.ts';
import type { Clock } from '../core/clock.ts';
import type { NatsLink } from './nats-connection.ts';
import { threadSubject } from './nats-subjects.ts';
import type { Wire } from './ports.ts';
import { ChunkAssembler, HeaderWriter, readFrame, wireVersion } from './wire-chunks.ts';

export interface NatsWireOptions {
  readonly link: NatsLink;
  readonly cluster: string;
  readonly thread: ThreadId;
  readonly clock: Clock;
  /** What another thread sent together, in its order. */
  readonly deliver: (from: ThreadId, envelopes: readonly Envelope[]) => void;
  /** Bytes that the server has not confirmed to have read; beyond them `send` refuses. Default 16 MiB. */
  readonly outMaxBytes?: number;
}

/** Since the wire was made. */
export interface WireCounters {
  /** Envelopes that were sent, and those that were delivered. */
  sent: number;
  received: number;
  /** Bytes of both directions, headers included. */
  sentBytes: number;
  receivedBytes: number;
  /** Envelopes that were larger than one message of NATS. */
  chunked: number;
  /** Envelopes that `send` refused: too much on its way, or not connected. */
  refused: number;
  /** Messages that were not understood. */
  garbage: number;
  /** Messages of a newer version than ours: a cluster whose upgrade is under way. */
  foreign: number;
  /** Batches in chunks of which some never came. */
  incomplete: number;
  /** Round trips to the server of more than a second: this thread reads too slowly, or the server does. */
  slow: number;
}

const outMaxDefaultBytes = 16 * 2 ** 20;
/**
 * A round trip that confirms what was sent begins when so much waits for it, or so long after the first of it. Not with
 * each batch: the server's answer to it would wake both sides once more for each ask.
 */
const confirmBytes = 64 * 2 ** 10;
const confirmMs = 100;
/** What is received between two round trips that measure how far behind the reader is. */
const probeBytes = 4 * 2 ** 20;
const slowMs = 1000;
const chunkLimits = { assembliesMax: 64, bytesMax: 64 * 2 ** 20, ageMaxMs: 5000 };
const chunksMax = 0xffff;
/** Kept free in each message: other servers on the way add headers of their own. */
const roomBytes = 1024;

// A batch's objects have few shapes: as records each shape's keys are written once a batch, and made into classes by
// the reader (measured: 2.6 M envelopes/s read, against 0.17 as maps). `undefined` stays; toJSON is never called.
const packing = { useRecords: true, useToJSON: false, moreTypes: true } as const;

/**
 * A worker thread's wire to the threads of other nodes, over core NATS and a connection of its own. Each thread listens
 * to `kefu.<cluster>.thread.<id>`. Batches between two threads arrive in order, or not at all.
 */
export class NatsWire implements Wire {
  readonly counters: WireCounters = {
    sent: 0,
    received: 0,
    sentBytes: 0,
    receivedBytes: 0,
    chunked: 0,
    refused: 0,
    garbage: 0,
    foreign: 0,
    incomplete: 0,
    slow: 0,
  };
  /** The last round trip to the server. It passes behind all that waits to be read on the way. */
  roundTripMs = 0;
  readonly #options: NatsWireOptions;
  readonly #outMaxBytes: number;
  readonly #header: HeaderWriter;
  readonly #packr = new Packr(packing);
  readonly #unpackr = new Unpackr(packing);
  readonly #assembler = new ChunkAssembler(chunkLimits);
  readonly #subjects = new Map<ThreadId, string>();
  #batch: number;
  /** Bytes of the round trip under way, and those that were sent since. */
  #flyingBytes = 0;
  #waitingBytes = 0;
  #isFlushing = false;
  #isConfirmDue = false;
  #unprobedBytes = 0;

  constructor(options: NatsWireOptions) {
    this.#options = options;
    this.#outMaxBytes = options.outMaxBytes ?? outMaxDefaultBytes;
    this.#header = new HeaderWriter(options.thread);
    // A thread that replaces another one of this name doesn't go on with its numbers.
    this.#batch = Math.floor(options.clock.nowMs() * 64) >>> 0;
    options.link.client.subscribe(threadSubject(options.cluster, options.thread), {
      callback: (error, message) => {
        if (error === null) this.#receive(message.data);
      },
    });
  }

  /** Bytes that were sent and not yet confirmed. */
  get outBytes(): number {
    return this.#flyingBytes + this.#waitingBytes;
  }

  send(to: ThreadId, envelopes: readonly Envelope[]): boolean {
    const { link } = this.#options;
    if (!link.connected || this.outBytes >= this.#outMaxBytes) return this.#refuse(envelopes);
    const messages: Uint8Array[] = [];
    const bytes = this.#pack(envelopes, 0, envelopes.length, messages);
    // An idle wire takes any batch, or one that is larger than the limit could never be sent.
    if (this.#flyingBytes > 0 && this.outBytes + bytes > this.#outMaxBytes) return this.#refuse(envelopes);
    const subject = this.#subjectOf(to);
    for (const message of messages) link.client.publish(subject, message);
    this.counters.sent += envelopes.length;
    this.counters.sentBytes += bytes;
    this.#waitingBytes += bytes;
    if (this.#waitingBytes >= confirmBytes) this.#flush();
    else if (!this.#isConfirmDue) this.#confirmLater();
    return true;
  }

  /** Forgets the subjects of a process that is gone. */
  forget(thread: ThreadId): void {
    this.#subjects.delete(thread);
  }

  #refuse(envelopes: readonly Envelope[]): false {
    this.counters.refused += envelopes.length;
    return false;
  }

  #subjectOf(to: ThreadId): string {
    let subject = this.#subjects.get(to);
    if (subject === undefined) {
      subject = threadSubject(this.#options.cluster, to);
      this.#subjects.set(to, subject);
    }
    return subject;
  }

  /** Adds the messages of these envelopes to `messages`; returns their bytes. */
  #pack(envelopes: readonly Envelope[], start: number, end: number, messages: Uint8Array[]): number {
    const maxBytes = (this.#options.link.client.info?.max_payload ?? 2 ** 20) - roomBytes;
    const isAll = start === 0 && end === envelopes.length;
    const some = isAll ? envelopes : envelopes.slice(start, end);
    // Packed behind the room for the header: a body is not copied again.
    const message = this.#packr.pack(some, RESERVE_START_SPACE | this.#header.bytes);
    if (message.length <= maxBytes) {
      this.#header.write(message, this.#nextBatch(), 0, 1);
      messages.push(message);
      return message.length;
    }
    if (end - start === 1) return this.#split(message.subarray(this.#header.bytes), maxBytes, messages);
    const middle = (start + end) >>> 1;
    const bytes = this.#pack(envelopes, start, middle, messages);
    return bytes + this.#pack(envelopes, middle, end, messages);
  }

  /** One envelope in chunks. */
  #split(body: Uint8Array, maxBytes: number, messages: Uint8Array[]): number {
    const room = maxBytes - this.#header.bytes;
    const count = Math.ceil(body.length / room);
    if (count > chunksMax) throw new RangeError('an envelope is larger than 65,535 messages of NATS');
    const batch = this.#nextBatch();
    let bytes = 0;
    for (let index = 0; index < count; index += 1) {
      const part = body.subarray(index * room, (index + 1) * room);
      const message = new Uint8Array(this.#header.bytes + part.length);
      this.#header.write(message, batch, index, count);
      message.set(part, this.#header.bytes);
      messages.push(message);
      bytes += message.length;
    }
    this.counters.chunked += 1;
    return bytes;
  }

  #nextBatch(): number {
    this.#batch = (this.#batch + 1) >>> 0;
    return this.#batch;
  }

  #confirmLater(): void {
    this.#isConfirmDue = true;
    this.#options.clock.after(confirmMs, () => {
      this.#isConfirmDue = false;
      // Not connected: it is lost, and nothing of it will be sent later.
      if (!this.#options.link.connected) this.#waitingBytes = 0;
      else if (this.#waitingBytes > 0) this.#flush();
    });
  }

  /** One round trip at a time: its answer says that the server has read all that was sent before it. */
  #flush(): void {
    if (this.#isFlushing || !this.#options.link.connected) return;
    const { clock, link } = this.#options;
    const startMs = clock.nowMs();
    this.#isFlushing = true;
    this.#flyingBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    this.#unprobedBytes = 0;
    link.client.flush().then(
      () => {
        this.roundTripMs = clock.nowMs() - startMs;
        if (this.roundTripMs > slowMs) this.counters.slow += 1;
        this.#isFlushing = false;
        this.#flyingBytes = 0;
        if (this.#waitingBytes >= confirmBytes) this.#flush();
        else if (this.#waitingBytes > 0 && !this.#isConfirmDue) this.#confirmLater();
      },
      () => {
        // Disconnected: what was on its way is lost, and nothing of it will be sent later.
        this.#isFlushing = false;
        this.#flyingBytes = 0;
        this.#waitingBytes = 0;
      },
    );
  }

  /** Runs in the connection's reader, which a throw would end without a word. */
  #receive(data: Uint8Array): void {
    const { counters } = this;
    counters.receivedBytes += data.length;
    this.#unprobedBytes += data.length;
    if (this.#unprobedBytes >= probeBytes) this.#flush();
    if (data.length > 0 && data[0]! > wireVersion) {
      counters.foreign += 1;
      return;
    }
    const frame = readFrame(data);
    if (frame === undefined) {
      counters.garbage += 1;
      return;
    }
    let { body } = frame;
    if (frame.count > 1) {
      const whole = this.#assembler.add(frame, this.#options.clock.nowMs());
      counters.incomplete = this.#assembler.dropped;
      if (whole === undefined) return;
      body = whole;
    }
    const envelopes = this.#unpack(body);
    if (envelopes === undefined) {
      counters.garbage += 1;
      return;
    }
    counters.received += envelopes.length;
    this.#deliver(frame.from, envelopes);
  }

  #unpack(body: Uint8Array): Envelope[] | undefined {
    try {
      const value: unknown = this.#unpackr.unpack(body);
      return Array.isArray(value) && value.every(isEnvelope) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  #deliver(from: ThreadId, envelopes: readonly Envelope[]): void {
    try {
      this.#options.deliver(from, envelopes);
    } catch (error) {
      // A bug, and to be seen as one by the thread's supervisor; the reader goes on until then.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, key, ask, answer } = value as Partial<Record<keyof Envelope, unknown>>;
  if (ask !== undefined && typeof ask !== 'number') return false;
  if (kind === undefined) return typeof answer === 'number';
  return typeof kind === 'string' && typeof key === 'string';
}
