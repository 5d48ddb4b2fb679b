import type { Clock } from '../../core/clock.ts';
import { KefuError } from '../../core/errors.ts';
import { cloudEvent, cloudEventHeaders, eventId, withoutBody, type FeedEntry } from './cloud-event.ts';

/**
 * The change feed of one worker thread: every committed event of its shards, published to JetStream in the order of
 * each shard, at least once, also across crashes.
 *
 *   commit ──(same transaction)──▶ feed table ◀── pages, for a shard that is behind
 *      └──committed()──▶ line of the shard ──one at a time──▶ JetStream ──ack──▶ cursor, rows deleted
 *
 * Each shard is a line with one publish on its way: with two, JetStream could take the second and not the first, and
 * the retry would come out of order. The lines go side by side, which is throughput enough. An event is published
 * again under the same message id until it is acknowledged; JetStream drops what it has had within its window.
 *
 * Two owners of a shard, of whom one does not know yet that it has lost it, do no harm: both publish the same entries
 * in the same order, so what comes first of each is in order, and the rest are duplicates.
 *
 * The entries in memory are bounded. What finds no room stays in the table, where it is anyway, and its shard is
 * *behind*: it is read by pages until it has caught up.
 */
export interface FeedLog {
  /** At most `limit` entries above `after`, in order; see src/store/feed-log.ts. */
  pending(shard: number, after: number, limit: number): Promise<readonly PendingEntry[]>;
  advance(cursors: readonly FeedCursor[]): Promise<void>;
}

export interface PendingEntry {
  readonly position: number;
  readonly session: string;
  readonly seq: number;
  /** Undefined: the event is gone, and is passed over. */
  readonly json: string | undefined;
}

export interface FeedCursor {
  readonly shard: number;
  readonly position: number;
}

export interface FeedHead {
  readonly shard: number;
  /** Everything up to here was published. */
  readonly cursor: number;
  /** The last position in use. */
  readonly head: number;
}

export interface FeedPublisher {
  /**
   * Resolves once the stream holds it, or held it before under this id. Rejects with KefuError `too_large` when it can
   * never be taken; with anything else it is tried again.
   */
  publish(
    subject: string,
    id: string,
    payload: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<void>;
}

export interface EventFeedOptions {
  readonly clock: Clock;
  readonly log: FeedLog;
  readonly publisher: FeedPublisher;
  readonly cluster: string;
  /** Before the dot and the event's type: `kefu.events`. */
  readonly subject: string;
  /** Entries held in memory; beyond them shards fall behind, and are read from the table. Default 10,000. */
  readonly buffer?: number;
  readonly tell?: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
}

export interface FeedStats {
  /** Acknowledged by JetStream since the start. */
  readonly published: number;
  /** Shards that are read from the table now. */
  readonly behind: number;
  /** Entries in memory. */
  readonly held: number;
  /** Age of the oldest entry that is not published; of what is only in the table, since when it is. */
  readonly lagMs: number;
  /** Publishes, reads and writes of the table that failed, and were tried again. */
  readonly errors: number;
  /** Events that were gone before they could be published. */
  readonly missing: number;
}

/** One shard's entries that are to be published, in order. */
interface Line {
  readonly shard: number;
  readonly queue: Held[];
  /** The last position that is, or was, in the queue. */
  taken: number;
  /** The last position that is known to be committed. */
  head: number;
  /** Since when, on the monotonic clock, it is read from the table; undefined while it is not. */
  behindSinceMs: number | undefined;
  isRunning: boolean;
  isClosed: boolean;
  /** Cuts a pause short. */
  wake: (() => void) | undefined;
}

interface Held {
  readonly position: number;
  readonly entry: FeedEntry | undefined;
}

const bufferDefault = 10_000;
const pageMax = 500;
const readsMax = 4;
const advanceEveryMs = 200;
const advanceEvery = 500;
const retryMinMs = 50;
const retryMaxMs = 1000;
const pollMs = 5;
/** Errors are told so often: while NATS is away there is one for each shard and second. */
const tellEveryMs = 10_000;

export class EventFeed {
  readonly #options: EventFeedOptions;
  readonly #buffer: number;
  readonly #page: number;
  readonly #lines = new Map<number, Line>();
  /** Lines that are behind and have nothing in memory: they wait for a read. */
  #waiting: Line[] = [];
  #reads = 0;
  #held = 0;
  /** Room that reads on their way will fill. */
  #reserved = 0;
  /** What is acknowledged, but not yet in the cursors. */
  #acked = new Map<number, number>();
  #ackedCount = 0;
  #cancelAdvance: (() => void) | undefined;
  #isAdvancing = false;
  #isClosed = false;
  #published = 0;
  #errors = 0;
  #missing = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #toldTrouble = false;

  constructor(options: EventFeedOptions) {
    this.#options = options;
    this.#buffer = options.buffer ?? bufferDefault;
    this.#page = Math.max(1, Math.min(pageMax, Math.floor(this.#buffer / 4)));
  }

  /** This thread owns these shards from now on: what the table holds of them is published first. */
  opened(heads: readonly FeedHead[]): void {
    this.closed(heads.map(({ shard }) => shard));
    if (this.#isClosed) return;
    for (const { shard, cursor, head } of heads) {
      const line: Line = {
        shard,
        queue: [],
        taken: cursor,
        head,
        behindSinceMs: undefined,
        isRunning: false,
        isClosed: false,
        wake: undefined,
      };
      this.#lines.set(shard, line);
      if (head > cursor) this.#fallBehind(line);
    }
    this.#read();
  }

  /** Not this thread's any more. What it has of them stays in the table, for the next owner. */
  closed(shards: readonly number[]): void {
    for (const shard of shards) {
      const line = this.#lines.get(shard);
      if (line === undefined) continue;
      this.#lines.delete(shard);
      line.isClosed = true;
      this.#held -= line.queue.length;
      line.queue.length = 0;
      line.wake?.();
    }
    this.#waiting = this.#waiting.filter((line) => !line.isClosed);
    this.#read();
  }

  /** These are committed, in this order. Of shards that are not open, nothing is taken: they are in the table. */
  committed(entries: readonly FeedEntry[]): void {
    for (const entry of entries) {
      const line = this.#lines.get(entry.shard);
      if (line === undefined) continue;
      line.head = Math.max(line.head, entry.position);
      // A page may have brought it before the journal had its answer.
      if (line.behindSinceMs !== undefined || entry.position <= line.taken) continue;
      if (this.#held + this.#reserved >= this.#buffer) {
        this.#fallBehind(line);
        continue;
      }
      this.#hold(line, entry.position, entry);
    }
  }

  get stats(): FeedStats {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    const wallMs = clock.wallMs();
    let lagMs = 0;
    let behind = 0;
    for (const line of this.#lines.values()) {
      const first = line.queue[0]?.entry;
      if (first !== undefined) lagMs = Math.max(lagMs, wallMs - first.at);
      if (line.behindSinceMs === undefined) continue;
      behind += 1;
      lagMs = Math.max(lagMs, nowMs - line.behindSinceMs);
    }
    return {
      published: this.#published,
      behind,
      held: this.#held,
      lagMs,
      errors: this.#errors,
      missing: this.#missing,
    };
  }

  /**
   * Publishes what it has in memory, within `deadlineMs` and as long as JetStream takes it, writes the cursors, and ends.
   * What is left is in the table.
   */
  async close(deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.nowMs() + deadlineMs;
    this.#isClosed = true;
    const isBusy = (): boolean =>
      this.#reads > 0 || [...this.#lines.values()].some((line) => line.isRunning && line.wake === undefined);
    while (isBusy() && clock.nowMs() < untilMs) await this.#pause(pollMs);
    this.closed([...this.#lines.keys()]);
    while (this.#isAdvancing && clock.nowMs() < untilMs) await this.#pause(pollMs);
    this.#cancelAdvance?.();
    this.#cancelAdvance = undefined;
    if (!this.#isAdvancing) await this.#advance();
  }

  // ---- publishing

  #hold(line: Line, position: number, entry: FeedEntry | undefined): void {
    line.queue.push({ position, entry });
    line.taken = position;
    this.#held += 1;
    if (!line.isRunning) void this.#run(line);
  }

  async #run(line: Line): Promise<void> {
    line.isRunning = true;
    let failures = 0;
    while (!line.isClosed && line.queue.length > 0) {
      const { position, entry } = line.queue[0]!;
      try {
        if (entry === undefined) this.#missing += 1;
        else await this.#publish(entry);
      } catch (error) {
        this.#failed('the change feed could not publish; it keeps trying', error);
        await this.#rest(line, Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(failures, 10)));
        failures += 1;
        continue;
      }
      failures = 0;
      if (entry !== undefined) this.#succeeded();
      // Also of a line that was closed meanwhile: it is in the stream.
      this.#acknowledged(line.shard, position);
      if (line.isClosed) break;
      line.queue.shift();
      this.#held -= 1;
    }
    line.isRunning = false;
    if (line.isClosed) return;
    if (line.behindSinceMs !== undefined && !this.#waiting.includes(line)) this.#waiting.push(line);
    this.#read();
  }

  async #publish(entry: FeedEntry): Promise<void> {
    const { publisher, cluster, subject } = this.#options;
    const to = `${subject}.${entry.type}`;
    const id = eventId(entry);
    try {
      await publisher.publish(to, id, cloudEvent(entry, cluster), cloudEventHeaders);
    } catch (error) {
      if (!(error instanceof KefuError) || error.code !== 'too_large') throw error;
      // It would stop its shard for ever.
      await publisher.publish(to, id, cloudEvent(entry, cluster, withoutBody(entry)), cloudEventHeaders);
    }
  }

  #succeeded(): void {
    this.#published += 1;
    if (!this.#toldTrouble) return;
    this.#toldTrouble = false;
    this.#toldMs = Number.NEGATIVE_INFINITY;
    this.#options.tell?.('info', 'the change feed publishes again');
  }

  #failed(text: string, error: unknown): void {
    this.#errors += 1;
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#toldMs < tellEveryMs) return;
    this.#toldMs = nowMs;
    this.#toldTrouble = true;
    this.#options.tell?.('warn', text, error);
  }

  /** A pause that the end of the line cuts short. */
  #rest(line: Line, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, () => {
        line.wake = undefined;
        resolve();
      });
      line.wake = () => {
        line.wake = undefined;
        cancel();
        resolve();
      };
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(ms, resolve));
  }

  // ---- the table

  #fallBehind(line: Line): void {
    line.behindSinceMs = this.#options.clock.nowMs();
    if (line.queue.length === 0 && !line.isRunning) this.#waiting.push(line);
  }

  /** Begins as many reads as there is room for. A line is read when it has nothing in memory, so that all get their turn. */
  #read(): void {
    while (
      !this.#isClosed &&
      this.#waiting.length > 0 &&
      this.#reads < readsMax &&
      this.#held + this.#reserved + this.#page <= this.#buffer
    ) {
      const line = this.#waiting.shift()!;
      if (!line.isClosed) void this.#readPage(line);
    }
  }

  async #readPage(line: Line): Promise<void> {
    // What the journal told before the read begins is committed, so the read sees it, or it was published by somebody.
    const head = line.head;
    this.#reads += 1;
    this.#reserved += this.#page;
    try {
      const rows = await this.#options.log.pending(line.shard, line.taken, this.#page);
      if (!line.isClosed) this.#take(line, rows, head);
    } catch (error) {
      this.#failed('the change feed could not read its table; it keeps trying', error);
      this.#options.clock.after(retryMaxMs, () => {
        if (!line.isClosed) this.#waiting.push(line);
        this.#read();
      });
    } finally {
      this.#reads -= 1;
      this.#reserved -= this.#page;
    }
    this.#read();
  }

  #take(line: Line, rows: readonly PendingEntry[], head: number): void {
    for (const row of rows) this.#hold(line, row.position, entryOf(line.shard, row));
    if (rows.length < this.#page) {
      line.taken = Math.max(line.taken, head);
      line.head = Math.max(line.head, line.taken);
      if (line.head === line.taken) line.behindSinceMs = undefined;
    }
    if (line.behindSinceMs !== undefined && !line.isRunning) this.#waiting.push(line);
  }

  #acknowledged(shard: number, position: number): void {
    this.#acked.set(shard, Math.max(position, this.#acked.get(shard) ?? 0));
    this.#ackedCount += 1;
    if (this.#ackedCount >= advanceEvery && !this.#isAdvancing) {
      this.#cancelAdvance?.();
      this.#cancelAdvance = undefined;
      void this.#advance();
    } else this.#advanceLater(advanceEveryMs);
  }

  #advanceLater(ms: number): void {
    if (this.#isAdvancing || this.#isClosed) return;
    this.#cancelAdvance ??= this.#options.clock.after(ms, () => {
      this.#cancelAdvance = undefined;
      void this.#advance();
    });
  }

  async #advance(): Promise<void> {
    const acked = this.#acked;
    if (acked.size === 0) return;
    this.#acked = new Map();
    this.#ackedCount = 0;
    this.#isAdvancing = true;
    let waitMs = advanceEveryMs;
    try {
      await this.#options.log.advance([...acked].map(([shard, position]) => ({ shard, position })));
    } catch (error) {
      this.#failed('the change feed could not write its cursors; it keeps trying', error);
      waitMs = retryMaxMs;
      for (const [shard, position] of acked)
        this.#acked.set(shard, Math.max(position, this.#acked.get(shard) ?? 0));
    }
    this.#isAdvancing = false;
    if (this.#acked.size > 0) this.#advanceLater(waitMs);
  }
}

function entryOf(shard: number, { position, session, seq, json }: PendingEntry): FeedEntry | undefined {
  if (json === undefined) return undefined;
  const { type, at } = JSON.parse(json) as { type: string; at: string };
  return { shard, position, session, seq, type, at: Date.parse(at), json };
}
