import type {
  FeedCursor,
  FeedHead,
  FeedLog,
  FeedPublisher,
  PendingEntry,
} from '../../src/integrations/nats/feed.ts';
import type { FeedEntry } from '../../src/integrations/nats/cloud-event.ts';
import type { Clock } from '../../src/core/clock.ts';

/** The feed's table in memory, for many owners at once: what they commit stays whatever happens to them. */
export class MemoryLog implements FeedLog {
  readonly rows = new Map<number, FeedEntry[]>();
  readonly cursors = new Map<number, number>();
  /** All that was ever committed, by shard. */
  readonly all = new Map<number, FeedEntry[]>();
  readonly #wait: () => Promise<void>;
  reads = 0;

  constructor(wait: () => Promise<void> = () => Promise.resolve()) {
    this.#wait = wait;
  }

  commit(entry: FeedEntry): void {
    for (const lists of [this.rows, this.all]) {
      const list = lists.get(entry.shard);
      if (list === undefined) lists.set(entry.shard, [entry]);
      else list.push(entry);
    }
  }

  heads(shards: readonly number[]): FeedHead[] {
    return shards.map((shard) => {
      const cursor = this.cursors.get(shard) ?? 0;
      return { shard, cursor, head: Math.max(cursor, this.rows.get(shard)?.at(-1)?.position ?? 0) };
    });
  }

  async pending(shard: number, after: number, limit: number): Promise<PendingEntry[]> {
    this.reads += 1;
    await this.#wait();
    const found = (this.rows.get(shard) ?? []).filter(({ position }) => position > after).slice(0, limit);
    await this.#wait();
    return found;
  }

  async advance(cursors: readonly FeedCursor[]): Promise<void> {
    await this.#wait();
    for (const { shard, position } of cursors) {
      this.cursors.set(shard, Math.max(position, this.cursors.get(shard) ?? 0));
      const rest = (this.rows.get(shard) ?? []).filter((row) => row.position > position);
      this.rows.set(shard, rest);
    }
  }
}

/** A stream in memory that drops duplicates, as JetStream does. */
export class MemoryStream implements FeedPublisher {
  readonly ids: string[] = [];
  readonly payloads = new Map<string, string>();
  readonly #wait: () => Promise<void>;
  duplicates = 0;
  isDown = false;

  constructor(wait: () => Promise<void> = () => Promise.resolve()) {
    this.#wait = wait;
  }

  async publish(_subject: string, id: string, payload: string): Promise<void> {
    await this.#wait();
    if (this.isDown) throw new Error('the stream is down');
    if (this.payloads.has(id)) this.duplicates += 1;
    else {
      this.payloads.set(id, payload);
      this.ids.push(id);
    }
    await this.#wait();
  }

  /** What it holds of a shard, in its order. */
  of(shard: number): string[] {
    return this.ids.filter((id) => (JSON.parse(this.payloads.get(id)!) as { shard: number }).shard === shard);
  }
}

export function entry(shard: number, position: number, session = `s${shard}`, at = 0): FeedEntry {
  const json = `{"session":"${session}","seq":${position},"type":"message","at":"${new Date(at).toISOString()}"}`;
  return { shard, position, session, seq: position, type: 'message', at, json };
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
