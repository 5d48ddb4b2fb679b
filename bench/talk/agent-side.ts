import { frameOf } from '../../src/stress/raw-client.ts';
import type { RawClient } from '../../src/stress/raw-client.ts';
import { latin1Text, Side, type Tally } from './side.ts';

/** One agent with many sessions, who says something in each in turn; each ack is checked to be its session's next seq. */
export class AgentSide extends Side {
  readonly #ids: string[] = [];
  readonly #lastSeqs: number[] = [];
  readonly #placeOf = new Map<number, number>();
  #next = 0;
  /** Only the first so many of its sessions. */
  spread = Number.POSITIVE_INFINITY;

  constructor(client: RawClient, tally: Tally) {
    super(client, '', 0, tally);
    client.onFrame = (input, from, to) => this.#take(input, from, to);
  }

  get count(): number {
    return this.#ids.length;
  }

  lastSeqs(): [session: string, seq: number][] {
    return this.#ids.map((id, place) => [id, this.#lastSeqs[place]!]);
  }

  say(dueMs: number): void {
    const number = this.newNumber(dueMs);
    this.#next = (this.#next + 1) % Math.min(this.#ids.length, this.spread);
    this.#placeOf.set(number, this.#next);
    const session = this.#ids[this.#next]!;
    const say = `{"t":"say","session":"${session}","ref":${number},"id":"${this.idOf(number)}","body":"${latin1Text}"}`;
    this.client.sendFrame(frameOf(say));
  }

  #take(input: Buffer, from: number, to: number): void {
    const frame = input.toString('latin1', from, to);
    if (frame.startsWith('{"t":"ack"')) return this.#takeAck(frame);
    if (frame.startsWith('{"t":"assigned"')) {
      const { session } = JSON.parse(input.toString('utf8', from, to)) as {
        session: { id: string; last_seq: number };
      };
      this.#ids.push(session.id);
      this.#lastSeqs.push(session.last_seq);
    } else if (frame.startsWith('{"t":"event"') || frame.startsWith('{"t":"error"')) this.fault(frame);
  }

  #takeAck(frame: string): void {
    const number = Number(/"ref":(\d+)/.exec(frame)![1]);
    const seq = Number(/"seq":(\d+)/.exec(frame)![1]);
    const place = this.#placeOf.get(number)!;
    this.#placeOf.delete(number);
    // Acks of one session come in the order of seq, those of several may overtake each other.
    if (seq !== this.#lastSeqs[place]! + 1) this.fault(`after ${this.#lastSeqs[place]}: ${frame}`);
    this.#lastSeqs[place] = seq;
    // Nobody else follows: what is acked is all that there is.
    this.delivered();
    this.acked(number);
  }
}
