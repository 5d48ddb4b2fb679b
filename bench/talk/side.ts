import { Histogram } from '../../src/stress/histogram.ts';
import type { RawClient } from '../../src/stress/raw-client.ts';

/** One socket of a pair: says things and takes acks and events, in whatever protocol; one event in a thousand is compared as a whole. */

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

export function newTally(): Tally {
  return {
    said: 0,
    acked: 0,
    delivered: 0,
    faults: 0,
    firstFault: '',
    compared: 0,
    open: 0,
    latency: new Histogram(),
    onAck: () => undefined,
    onRefused: undefined,
  };
}

export const text = 'Is the blue one in stock in size 42, and when would it be here? 谢谢!';
/** The bytes of `text`, one a character. */
export const latin1Text = Buffer.from(text).toString('latin1');

/** Numbers of messages are of one width, so that every frame has its fields at the same places. */
const firstNumber = 1e9;
export const numberLength = 10;
const sentAtMask = 2 ** 20 - 1;
const sentAtMs = new Float64Array(sentAtMask + 1);
let nextNumber = firstNumber;
export const idStart = `m${process.pid}-${Date.now().toString(36)}-`;

export function idOf(number: number): string {
  return `${idStart}${number}`;
}

const compareEvery = 1024;
/** What all protocols' sides share: numbers, and the count of what was said, acked and delivered. */
export abstract class Side {
  readonly client: RawClient;
  readonly session: string;
  lastSeq: number;
  /** Said and not acked. */
  open = 0;
  protected readonly tally: Tally;

  constructor(client: RawClient, session: string, lastSeq: number, tally: Tally) {
    this.client = client;
    this.session = session;
    this.lastSeq = lastSeq;
    this.tally = tally;
  }

  /** A message that was due at that time. */
  abstract say(dueMs: number): void;

  protected newNumber(dueMs: number): number {
    const number = nextNumber;
    nextNumber += 1;
    sentAtMs[number & sentAtMask] = dueMs;
    this.tally.said += 1;
    this.tally.open += 1;
    this.open += 1;
    return number;
  }

  protected idOf(number: number): string {
    return idOf(number);
  }

  protected acked(number: number): void {
    const { tally } = this;
    tally.latency.add(performance.now() - sentAtMs[number & sentAtMask]!);
    tally.acked += 1;
    this.closed();
    tally.onAck(this, number);
  }

  /** Answered, in whatever way. */
  protected closed(): void {
    this.tally.open -= 1;
    this.open -= 1;
  }

  /** Whether this one is to be compared. */
  protected delivered(): boolean {
    this.tally.delivered += 1;
    if (this.tally.delivered % compareEvery !== 0) return false;
    this.tally.compared += 1;
    return true;
  }

  protected fault(what: string): void {
    const { tally } = this;
    if (tally.faults === 0) tally.firstFault = what;
    tally.faults += 1;
  }
}
