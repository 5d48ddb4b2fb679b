import type { Envelope } from '../actors/engine/types.ts';
import type { Clock } from '../core/clock.ts';

export interface PensOptions {
  readonly clock: Clock;
  /** Messages held for all shards together; the next one is not taken. */
  readonly max: number;
  /** Milliseconds that one is held. */
  readonly maxMs: number;
  readonly expired: (envelope: Envelope) => void;
}

interface Waiting {
  readonly envelope: Envelope;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

const sweepMs = 100;

/** Messages for shards in motion, in their order, for a bounded time. */
export class Pens {
  readonly #options: PensOptions;
  readonly #pens = new Map<number, Waiting[]>();
  #size = 0;
  #sweeping = false;

  constructor(options: PensOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** False: there is no room. `untilMs` is kept when a message goes back into its pen. */
  add(shard: number, envelope: Envelope, untilMs?: number): boolean {
    const { clock, max, maxMs } = this.#options;
    if (this.#size >= max) return false;
    const waiting = { envelope, untilMs: untilMs ?? clock.nowMs() + maxMs };
    const pen = this.#pens.get(shard);
    if (pen === undefined) this.#pens.set(shard, [waiting]);
    else pen.push(waiting);
    this.#size += 1;
    this.#sweepLater();
    return true;
  }

  /** Takes out all that is held for a shard. */
  take(shard: number): readonly Waiting[] {
    const pen = this.#pens.get(shard);
    if (pen === undefined) return [];
    this.#pens.delete(shard);
    this.#size -= pen.length;
    return pen;
  }

  #sweepLater(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#options.clock.after(sweepMs, () => {
      this.#sweeping = false;
      const now = this.#options.clock.nowMs();
      for (const [shard, pen] of this.#pens) {
        if (pen[0]!.untilMs > now) continue;
        const left = pen.filter((waiting) => waiting.untilMs > now);
        if (left.length > 0) this.#pens.set(shard, left);
        else this.#pens.delete(shard);
        this.#size -= pen.length - left.length;
        for (const { envelope, untilMs } of pen) if (untilMs <= now) this.#options.expired(envelope);
      }
      if (this.#size > 0) this.#sweepLater();
    });
  }
}
