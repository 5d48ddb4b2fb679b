import { hash32 } from '../../src/core/ids.ts';

/** What happened, as a hash that two runs of one seed must share, and as text for whoever looks into one. */
export class Trace {
  readonly lines: string[] = [];
  readonly #keep: boolean;
  readonly #nowMs: () => number;
  #hash = 0x811c9dc5;
  count = 0;

  constructor(nowMs: () => number, keep: boolean) {
    this.#nowMs = nowMs;
    this.#keep = keep;
  }

  add(who: string, what: string): void {
    const at = this.#nowMs().toFixed(2);
    this.count += 1;
    const line = `${at.padStart(9)} ${who.padEnd(10)} ${what}`;
    this.#hash = hash32(line, this.#hash);
    if (this.#keep) this.lines.push(line);
  }

  get verbose(): boolean {
    return this.#keep;
  }

  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0');
  }
}
