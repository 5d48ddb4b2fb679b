/**
 * The contract's second promise, and what an ack is worth, checked for one session as one side sees it. Pure: told of
 * every frame, and at the end of the history; says each breach once, where it is seen.
 */
export const breaches = ['gap', 'order', 'duplicate', 'lost', 'moved', 'altered', 'stray', 'reset'] as const;
/**
 * gap: a seq was left out. order: it came after a later one. duplicate: a seq, or an id, twice. lost: acked, and not in
 * the history. moved: an id with two seqs. altered: another text. stray: an ack of what was not said. reset: the
 * server forgot events.
 */
export type Breach = (typeof breaches)[number];
export type OnBreach = (kind: Breach, seq: number, what: string) => void;

export interface HistoryEvent {
  readonly seq: number;
  readonly type: string;
  readonly id?: string;
  readonly body?: { readonly text?: string };
}

interface Said {
  readonly text: string;
  seq: number;
}

/** Left-out seqs that are remembered, to tell late from repeated. */
const missingMax = 256;

export class SessionCheck {
  lastSeq: number;
  readonly #report: OnBreach;
  readonly #said = new Map<string, Said>();
  readonly #missing = new Set<number>();

  constructor(lastSeq: number, report: OnBreach) {
    this.lastSeq = lastSeq;
    this.#report = report;
  }

  /** Said, perhaps not for the first time. */
  say(id: string, text: string): void {
    if (!this.#said.has(id)) this.#said.set(id, { text, seq: 0 });
  }

  /** An `event` frame. */
  event(seq: number, id: string | undefined, text: string | undefined): void {
    this.#follow(seq);
    const said = id === undefined ? undefined : this.#said.get(id);
    if (said === undefined) return;
    if (said.seq !== 0 && said.seq !== seq) this.#report('duplicate', seq, `${id} was ${said.seq} before`);
    if (text !== undefined && text !== said.text)
      this.#report('altered', seq, `${id} came as ${JSON.stringify(text)}`);
    said.seq = seq;
  }

  /** An `ack` frame; one with `repeat` stands for nothing in the order. */
  ack(id: string, seq: number, repeat: boolean): void {
    if (!repeat) this.#follow(seq);
    const said = this.#said.get(id);
    if (said === undefined) return this.#report('stray', seq, `${id} was never said here`);
    if (said.seq !== 0 && said.seq !== seq) this.#report('moved', seq, `${id} was ${said.seq} before`);
    said.seq = seq;
  }

  reset(): void {
    this.#report('reset', this.lastSeq, 'the server has fewer events than it told of');
    this.lastSeq = 0;
    this.#missing.clear();
    for (const said of this.#said.values()) said.seq = 0;
  }

  /** An agent's session came anew with its last events: from there on it follows. */
  restart(lastSeq: number): void {
    this.lastSeq = lastSeq;
    this.#missing.clear();
  }

  /** Against the whole history, as HTTP gives it; returns how many messages were compared. */
  audit(events: readonly HistoryEvent[]): number {
    const seqsOf = new Map<string, number[]>();
    const textOf = new Map<string, string>();
    let before = 0;
    for (const { seq, type, id, body } of events) {
      if (seq > before + 1) this.#report('gap', before + 1, `the history goes from ${before} to ${seq}`);
      if (seq === before) this.#report('duplicate', seq, 'twice in the history');
      if (seq < before) this.#report('order', seq, `in the history after ${before}`);
      before = Math.max(before, seq);
      if (type !== 'message' || id === undefined || !this.#said.has(id)) continue;
      seqsOf.set(id, [...(seqsOf.get(id) ?? []), seq]);
      textOf.set(id, body?.text ?? '');
    }
    if (this.lastSeq > before)
      this.#report('lost', this.lastSeq, `was seen; the history ends with ${before}`);
    for (const [id, said] of this.#said) this.#compare(id, said, seqsOf.get(id) ?? [], textOf.get(id));
    return this.#said.size;
  }

  #compare(id: string, said: Said, seqs: readonly number[], text: string | undefined): void {
    if (seqs.length > 1)
      this.#report('duplicate', seqs[1]!, `${id} is in the history as ${seqs.join(' and ')}`);
    if (said.seq !== 0 && seqs.length === 0)
      this.#report('lost', said.seq, `${id} was acked and is not in the history`);
    else if (said.seq !== 0 && !seqs.includes(said.seq))
      this.#report('moved', said.seq, `${id} is ${seqs[0]} in the history`);
    if (text !== undefined && text !== said.text)
      this.#report('altered', said.seq, `${id} is ${JSON.stringify(text)} in the history`);
  }

  #follow(seq: number): void {
    const due = this.lastSeq + 1;
    if (seq === due) {
      this.lastSeq = seq;
    } else if (seq > due) {
      this.#report('gap', due, `${seq} came after ${this.lastSeq}`);
      for (let it = due; it < seq && this.#missing.size < missingMax; it += 1) this.#missing.add(it);
      this.lastSeq = seq;
    } else if (this.#missing.delete(seq)) {
      this.#report('order', seq, `came after ${this.lastSeq}`);
    } else {
      this.#report('duplicate', seq, `came again after ${this.lastSeq}`);
    }
  }
}
