import { frameHead, type RawClient } from '../../src/stress/raw-client.ts';
import { idStart, numberLength, Side, text, type Tally } from './side.ts';

/**
 * The contract's JSON frames; each ack and event is checked to be the next seq. All of it works on bytes at known
 * places. Peers that speak these frames without counting by sessions are not followed.
 */
const refKey = '"ref":';
const seqKey = '"seq":';
const letterA = 0x61;
const letterV = 0x76;
const letterE = 0x65;
const letterS = 0x73;

export class KefuSide extends Side {
  readonly #follows: boolean;
  readonly #what: string;
  readonly #start: string;
  readonly #middle: string;
  readonly #end: string;
  #ackPlaces = { ref: 11, seq: 0 };
  #eventSeqPlace = 0;

  constructor(
    client: RawClient,
    session: string,
    lastSeq: number,
    tally: Tally,
    follows = true,
    what = text,
  ) {
    super(client, session, lastSeq, tally);
    this.#follows = follows;
    this.#what = what;
    const start = `{"t":"say","session":"${session}","ref":`;
    const middle = `,"id":"${idStart}`;
    const end = `","body":"${Buffer.from(what).toString('latin1')}"}`;
    this.#start = frameHead(start.length + middle.length + end.length + 2 * numberLength) + start;
    this.#middle = middle;
    this.#end = end;
    client.onFrame = (input, from, to) => this.#take(input, from, to);
  }

  say(dueMs: number): void {
    const number = this.newNumber(dueMs);
    this.client.sendFrame(this.#start + number + this.#middle + number + this.#end);
  }

  #take(input: Buffer, from: number, to: number): void {
    // {"t":"ack", {"t":"event", {"t":"error" differ in their seventh and eighth byte.
    const first = input[from + 6];
    const second = input[from + 7];
    if (first === letterA && second === 0x63) this.#takeAck(input, from, to);
    else if (first === letterE && second === letterV) this.#takeEvent(input, from, to);
    else if (first === letterE) this.#takeError(input.toString('utf8', from, to));
    // A relay hands on what was said as it is.
    else if (first === letterS) this.delivered();
  }

  #takeAck(input: Buffer, from: number, to: number): void {
    const ref = this.#place(input, from, to, refKey, this.#ackPlaces.ref);
    this.#ackPlaces.ref = ref;
    if (this.#follows) {
      const seq = this.#place(input, from, to, seqKey, this.#ackPlaces.seq);
      this.#ackPlaces.seq = seq;
      this.#follow(numberAt(input, from + seq + seqKey.length), input, from, to);
    }
    this.acked(numberAt(input, from + ref + refKey.length));
  }

  #takeEvent(input: Buffer, from: number, to: number): void {
    if (this.#follows) {
      const seq = this.#place(input, from, to, seqKey, this.#eventSeqPlace);
      this.#eventSeqPlace = seq;
      this.#follow(numberAt(input, from + seq + seqKey.length), input, from, to);
    }
    if (!this.delivered()) return;
    const event = JSON.parse(input.toString('utf8', from, to)) as { session: string; body: { text: string } };
    if (event.session !== this.session || event.body.text !== this.#what)
      this.fault('another message than was said');
  }

  #takeError(frame: string): void {
    const { onRefused } = this.tally;
    const { ref, code } = JSON.parse(frame) as { ref?: number; code: string };
    if (onRefused === undefined || ref === undefined || code !== 'unavailable') return this.fault(frame);
    this.closed();
    onRefused(this, ref);
  }

  #follow(seq: number, input: Buffer, from: number, to: number): void {
    if (seq !== this.lastSeq + 1) this.fault(`after ${this.lastSeq}: ${input.toString('utf8', from, to)}`);
    this.lastSeq = seq;
  }

  /** Where `key` is, counted from the frame's start: where it was last time, or looked for. */
  #place(input: Buffer, from: number, to: number, key: string, hint: number): number {
    if (isKeyAt(input, from + hint, key)) return hint;
    const place = input.toString('latin1', from, to).indexOf(key);
    if (place < 0) this.fault(`no ${key} in ${input.toString('utf8', from, to)}`);
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
