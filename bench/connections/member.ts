import { post } from '../support/node.ts';
import { RawClient } from '../../src/stress/raw-client.ts';

/** One of the crowd: a customer, connected, perhaps with an open session in which it has said a few things. */
export class Member {
  readonly #port: number;
  readonly #localAddress: string;
  readonly #token: string;
  #client: RawClient | undefined;
  session: string | undefined;
  lastSeq = 0;
  /** What was said, and the seq that it was acked with; 0: not acked yet. */
  readonly said = new Map<string, number>();
  #caughtUp: (() => void) | undefined;
  /** Frames out of order, or acks that change their mind. */
  fault: string | undefined;

  constructor(port: number, localAddress: string, token: string) {
    this.#port = port;
    this.#localAddress = localAddress;
    this.#token = token;
  }

  static async visit(port: number, localAddress: string): Promise<Member> {
    const { token } = await post<{ token: string }>(port, '/v1/visitors', { name: 'Crowd' });
    return new Member(port, localAddress, token);
  }

  get isConnected(): boolean {
    return this.#client?.closed === false;
  }

  /** Settles with `ready`. */
  async connect(): Promise<void> {
    const client = await RawClient.connect(this.#port, this.#localAddress);
    this.#client = client;
    client.onFrame = (input, from, to) => this.#take(input.toString('utf8', from, to));
    const ready = client.next('"t":"ready"');
    const resume = this.session === undefined ? {} : { resume: { [this.session]: this.lastSeq } };
    client.send({ t: 'hello', token: this.#token, ...resume });
    await ready;
  }

  async open(): Promise<void> {
    const opened = this.#client!.next('"t":"opened"') as Promise<{ session: { id: string } }>;
    this.#client!.send({ t: 'open', ref: 1 });
    this.session = (await opened).session.id;
  }

  /** Without waiting for the ack. */
  say(id: string): void {
    this.said.set(id, this.said.get(id) ?? 0);
    this.#client!.send({ t: 'say', ref: id, session: this.session, id, body: `I said ${id}` });
  }

  /** Settles when everything said was acked. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#caughtUp = resolve;
      this.#look();
    });
  }

  /** What was not acked before the connection was cut is said again, under the same id. */
  sayAgain(): void {
    for (const [id, seq] of this.said) if (seq === 0) this.say(id);
  }

  ping(): void {
    if (this.isConnected) this.#client!.send({ t: 'ping' });
  }

  cut(): void {
    this.#client?.close();
  }

  /** Compares what was acked with what the node has. */
  async check(port: number): Promise<number> {
    if (this.fault !== undefined) throw new Error(this.fault);
    const response = await fetch(`http://127.0.0.1:${port}/v1/sessions/${this.session}/events?limit=200`, {
      headers: { authorization: `Bearer ${this.#token}` },
    });
    const { data } = (await response.json()) as { data: { seq: number; id: string }[] };
    for (const [id, seq] of this.said) {
      const found = data.filter((event) => event.id === id);
      if (found.length !== 1 || found[0]!.seq !== seq)
        throw new Error(`${id} of ${this.session} was acked as ${seq}, and is there ${found.length} times`);
    }
    return this.said.size;
  }

  #take(text: string): void {
    const frame = JSON.parse(text) as {
      t: string;
      id?: string;
      seq?: number;
      repeat?: boolean;
      code?: string;
    };
    if (frame.t === 'error') this.fault ??= text;
    if (frame.t !== 'ack' && frame.t !== 'event') return;
    const { id, seq } = frame as { id: string; seq: number };
    if (frame.repeat !== true) {
      if (this.lastSeq !== 0 && seq !== this.lastSeq + 1) this.fault ??= `after ${this.lastSeq}: ${text}`;
      this.lastSeq = seq;
    }
    const before = this.said.get(id);
    if (before === undefined) return;
    if (before !== 0 && before !== seq) this.fault ??= `${id} was ${before}: ${text}`;
    this.said.set(id, seq);
    this.#look();
  }

  #look(): void {
    for (const seq of this.said.values()) if (seq === 0) return;
    this.#caughtUp?.();
    this.#caughtUp = undefined;
  }
}
