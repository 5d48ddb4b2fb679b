import type { Histogram } from '../../src/stress/histogram.ts';
import { frameHead, type RawClient } from '../../src/stress/raw-client.ts';

/**
 * One socket of a pair: says things, and takes acks and events, each checked to be the next seq. All of it works on
 * bytes at known places; one event in a thousand is parsed and compared as a whole.
 */

/** What all sockets of a load process count together. */
export interface Tally {
  said: number;
  acked: number;
  delivered: number;
  /** Frames out of order, lost, repeated, changed or refused: anything but 0 fails the run. */
  faults: number;
  firstFault: string;
  /** Events parsed and compared. */
  compared: number;
  /** Acks that have not come yet. */
  open: number;
  /** From when a message was due to its ack. */
  latency: Histogram;
  /** What to do after each ack. */
  onAck: (side: Side, number: number) => void;
  /** Takes `unavailable`, while the node is being stopped; at all other times it is a fault. */
  onRefused: ((side: Side, number: number) => void) | undefined;
}

export const text = 'Is the blue one in stock in size 42, and when would it be here? 谢谢!';
const textAsLatin1 = Buffer.from(text).toString('latin1');

/** Numbers of messages are of one width, so that every frame has its fields at the same places. */
const firstNumber = 1e9;
const numberLength = 10;
const sentAtMask = 2 ** 20 - 1;
const sentAtMs = new Float64Array(sentAtMask + 1);
let nextNumber = firstNumber;
const idStart = `m${process.pid}-${Date.now().toString(36)}-`;

export function idOf(number: number): string {
  return `${idStart}${number}`;
}

const compareEvery = 1024;
const refKey = '"ref":';
const seqKey = '"seq":';
const letterA = 0x61;
const letterV = 0x76;
const letterE = 0x65;

export class Side {
  readonly client: RawClient;
  readonly session: string;
  readonly #tally: Tally;
  readonly #start: string;
  readonly #end: string;
  lastSeq: number;
  /** Said and not acked. */
  open = 0;
  #ackPlaces = { ref: 11, seq: 0 };
  #eventSeqPlace = 0;

  constructor(client: RawClient, session: string, lastSeq: number, tally: Tally) {
    this.client = client;
    this.session = session;
    this.lastSeq = lastSeq;
    this.#tally = tally;
    const start = `{"t":"say","session":"${session}","ref":`;
    const middle = `,"id":"${idStart}`;
    const end = `","body":"${textAsLatin1}"}`;
    this.#start = frameHead(start.length + middle.length + end.length + 2 * numberLength) + start;
    this.#middle = middle;
    this.#end = end;
    client.onFrame = (input, from, to) => this.#take(input, from, to);
  }

  readonly #middle: string;

  say(dueMs: number): void {
    const number = nextNumber;
    nextNumber += 1;
    sentAtMs[number & sentAtMask] = dueMs;
    this.#tally.said += 1;
    this.#tally.open += 1;
    this.open += 1;
    this.client.sendFrame(this.#start + number + this.#middle + number + this.#end);
  }

  #take(input: Buffer, from: number, to: number): void {
    // {"t":"ack", {"t":"event", {"t":"error" differ in their seventh and eighth byte.
    const first = input[from + 6];
    const second = input[from + 7];
    if (first === letterA && second === 0x63) this.#takeAck(input, from, to);
    else if (first === letterE && second === letterV) this.#takeEvent(input, from, to);
    else if (first === letterE) this.#takeError(input.toString('utf8', from, to));
  }

  #takeAck(input: Buffer, from: number, to: number): void {
    const tally = this.#tally;
    const ref = this.#place(input, from, to, refKey, this.#ackPlaces.ref);
    const seq = this.#place(input, from, to, seqKey, this.#ackPlaces.seq);
    this.#ackPlaces.ref = ref;
    this.#ackPlaces.seq = seq;
    this.#follow(numberAt(input, from + seq + seqKey.length), input, from, to);
    const number = numberAt(input, from + ref + refKey.length);
    tally.latency.add(performance.now() - sentAtMs[number & sentAtMask]!);
    tally.acked += 1;
    tally.open -= 1;
    this.open -= 1;
    tally.onAck(this, number);
  }

  #takeEvent(input: Buffer, from: number, to: number): void {
    const seq = this.#place(input, from, to, seqKey, this.#eventSeqPlace);
    this.#eventSeqPlace = seq;
    this.#follow(numberAt(input, from + seq + seqKey.length), input, from, to);
    const tally = this.#tally;
    tally.delivered += 1;
    if (tally.delivered % compareEvery !== 0) return;
    tally.compared += 1;
    const event = JSON.parse(input.toString('utf8', from, to)) as { session: string; body: { text: string } };
    if (event.session !== this.session || event.body.text !== text)
      this.#fault('another message than was said');
  }

  #takeError(frame: string): void {
    const { onRefused } = this.#tally;
    const { ref, code } = JSON.parse(frame) as { ref?: number; code: string };
    if (onRefused === undefined || ref === undefined || code !== 'unavailable') return this.#fault(frame);
    this.#tally.open -= 1;
    this.open -= 1;
    onRefused(this, ref);
  }

  #follow(seq: number, input: Buffer, from: number, to: number): void {
    if (seq !== this.lastSeq + 1) this.#fault(`after ${this.lastSeq}: ${input.toString('utf8', from, to)}`);
    this.lastSeq = seq;
  }

  #fault(what: string): void {
    const tally = this.#tally;
    if (tally.faults === 0) tally.firstFault = what;
    tally.faults += 1;
  }

  /** Where `key` is, counted from the frame's start: where it was last time, or looked for. */
  #place(input: Buffer, from: number, to: number, key: string, hint: number): number {
    if (isKeyAt(input, from + hint, key)) return hint;
    const place = input.toString('latin1', from, to).indexOf(key);
    if (place < 0) this.#fault(`no ${key} in ${input.toString('utf8', from, to)}`);
    return Math.max(place, 0);
  }
}

function numberAt(input: Buffer, at: number): number {
  let value = 0;
  for (let place = at; ; place += 1) {
    const digit = input[place]! - 0x30;
    if (!(digit >= 0 && digit <= 9)) return value;
    value = value * 10 + digit;
  }
}

function isKeyAt(input: Buffer, at: number, key: string): boolean {
  for (let place = 0; place < key.length; place += 1)
    if (input[at + place] !== key.charCodeAt(place)) return false;
  return true;
}
