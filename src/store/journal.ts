import type { Fence } from '../actors/messages.ts';
import type { AppendRequest, Journal } from '../actors/ports.ts';
import type { Clock } from '../core/clock.ts';
import type { Refusal } from '../core/errors.ts';
import { shardCount, shardOf } from '../core/ids.ts';
import { isServerError, type Sql } from './database.ts';
import { statementFor, type Item } from './journal-sql.ts';
import { gone, leaseOver, moved, unfit } from './journal-refusals.ts';
import { bounded, claimWriter, takeTerms, type Term } from './journal-terms.ts';

/**
 * Group commit: what is appended while a transaction is in flight goes into the next one. One is in flight at a
 * time, so that seq 6 is never committed without seq 5.
 *
 *   queue ──take──▶ flight ──answer──▶ settled (committed, or refused by the fence)
 *                     └──no answer──▶ unknown ──new connection, new writer, look──▶ settled, or back to the queue
 *
 * A commit whose outcome is unknown is never answered for until it has been looked up: the new connection first
 * changes the shards' `writer`, after which the old connection's transaction is either in, or refused for ever.
 */
export interface JournalOptions {
  readonly clock: Clock;
  /** A new pool of exactly one connection. */
  readonly connect: () => Sql;
  /** Names the connection as the shards' writer. Each is above the one before, in the order of bytes: a late one takes nothing back. */
  readonly newWriter: () => string;
  /** The epochs of this thread's shards. */
  readonly epochOf: (shard: number) => number;
  readonly ownShards: () => readonly number[];
  /** The process, as it stands in the shards' rows. */
  readonly owner: string;
  /** Whether this node's lease holds: without it nothing is begun. */
  readonly mayAct: () => boolean;
  /** Which of these terms the database still knows as the newest; absent on a node alone, where none can be newer. */
  readonly newest?: (terms: readonly Term[]) => Promise<ReadonlySet<number>>;
  /** The change feed, if there is one: gives each event its place there, and is told what is in, in its order. */
  readonly feed?: { nextPosition(shard: number): number; committed(items: readonly Item[]): void };
  /** These are in the database. */
  readonly committed?: (items: readonly Item[]) => void;
  /** A commit was refused by the fence: somebody else may have the shard. */
  readonly refused?: (shard: number, epoch: number) => void;
  readonly settle: (session: string, outcome: Outcome) => void;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  readonly limits: {
    /** Events a transaction. */
    readonly batchEvents: number;
    /** Events waiting for a transaction; the next append is not taken. */
    readonly queueEvents: number;
    /** An append that no transaction took for this long fails. */
    readonly commitWaitMs: number;
  };
  readonly observe?: (batchEvents: number, commitMs: number) => void;
}

export type Outcome =
  | { readonly type: 'committed'; readonly instance: number; readonly count: number }
  | { readonly type: 'failed'; readonly instance: number; readonly refusal: Refusal };

/** A transaction's text, in characters: what a batch of the largest messages is cut at. */
const batchCharsMax = 4 * 2 ** 20;
const tickMs = 250;

export class PostgresJournal implements Journal {
  readonly #options: JournalOptions;
  #sql: Sql | undefined;
  #writer = '';
  #queue: Item[] = [];
  #queuedEvents = 0;
  #flight: Item[] | undefined;
  #flightSinceMs = 0;
  /** Commits go through; false before the first connection and while the database is gone. */
  #open = false;
  /** Nothing is taken: what came is answered `unavailable` at once. */
  #refusing = false;
  #kicked = false;
  #closed = false;
  /** Unsettled appends by session, and by shard. */
  readonly #unsettled = new Map<string, number>();
  readonly #unsettledOf = new Int32Array(shardCount);
  readonly #idlers = new Map<string, (() => void)[]>();
  #confirming: { terms: Map<number, number>; look: Promise<ReadonlySet<number>> } | undefined;
  #looking: Promise<void> | undefined;
  /** Sessions that have yet to hear of a failure, with their shard's epoch: nothing more of theirs is taken. */
  readonly #unheard = new Map<string, Fence>();
  /** Failures that must be told after the flight of the same session is settled. */
  #failAfterFlight: Item[] = [];

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Whether commits go through just now. */
  get ready(): boolean {
    return this.#open && !this.#refusing;
  }

  get queued(): number {
    return this.#queuedEvents;
  }

  /** Takes the shards' writer, and keeps trying while the database is away. */
  async start(): Promise<void> {
    this.#watch();
    await this.#connect();
  }

  fenceOf(key: string): Fence {
    const shard = shardOf(key);
    return { shard, epoch: this.#options.epochOf(shard) };
  }

  append(request: AppendRequest): boolean {
    if (this.#refusing || this.#closed) return false;
    if (this.#queuedEvents + request.events.length > this.#options.limits.queueEvents) return false;
    const { shard, epoch } = request.term;
    if (this.#unheard.has(request.session)) return false;
    if (epoch === 0 || epoch !== this.#options.epochOf(shard) || !this.#options.mayAct()) return false;
    let bytes = 0;
    for (const event of request.events) bytes += event.json.length;
    this.#queue.push({ request, shard, epoch, addedMs: this.#options.clock.nowMs(), bytes });
    this.#queuedEvents += request.events.length;
    this.#unsettled.set(request.session, (this.#unsettled.get(request.session) ?? 0) + 1);
    this.#unsettledOf[shard]! += 1;
    this.#kick();
    return true;
  }

  confirm(key: string): Promise<boolean> | undefined {
    const { newest, epochOf, mayAct, clock } = this.#options;
    if (newest === undefined) return undefined;
    const shard = shardOf(key);
    const epoch = epochOf(shard);
    if (epoch === 0 || !mayAct()) return Promise.resolve(false);
    // One look for all who ask in this turn, or while another is on its way: when shards move, everybody asks at once.
    if (this.#confirming === undefined) {
      const terms = new Map<number, number>();
      const turn = new Promise<void>((resolve) => clock.soon(resolve));
      const look = Promise.all([turn, this.#looking]).then(() => {
        this.#confirming = undefined;
        const answer = newest([...terms].map(([id, term]) => ({ shard: id, epoch: term })));
        this.#looking = answer.then(
          () => undefined,
          () => undefined,
        );
        return answer;
      });
      this.#confirming = { terms, look };
    }
    this.#confirming.terms.set(shard, epoch);
    return this.#confirming.look.then((here) => {
      if (!here.has(shard)) this.#options.refused?.(shard, epoch);
      return here.has(shard) && epochOf(shard) === epoch && mayAct();
    });
  }

  /** Whether nothing of a shard is on its way. */
  isIdle(shard: number): boolean {
    return this.#unsettledOf[shard] === 0;
  }

  /**
   * Takes these terms: from here on every older owner's transaction is refused, and what is read afterwards holds all
   * that was committed. Returns the shards that are ours now; the others belong to a newer epoch, or the database did
   * not answer within `commitWaitMs`. Safe to repeat: a take whose answer was lost is taken again by the same owner.
   */
  async take(terms: readonly Term[]): Promise<ReadonlySet<number>> {
    const { clock, limits, owner, log } = this.#options;
    const untilMs = clock.nowMs() + limits.commitWaitMs;
    while (!this.#closed && clock.nowMs() < untilMs) {
      const writer = this.#writer;
      if (this.#open) {
        try {
          const sql = this.#sql!;
          const taken = await bounded(clock, limits.commitWaitMs, () => takeTerms(sql, terms, owner, writer));
          // If the connection was replaced meanwhile, its writer must stand in the rows.
          if (writer === this.#writer) return taken;
          continue;
        } catch (error) {
          log('warn', 'shards could not be taken; it is tried again', error);
          // Nothing else may be on its way that would notice a connection that is dead.
          if (!isServerError(error) && this.#open && this.#flight === undefined && writer === this.#writer) {
            this.#open = false;
            void this.#connect();
          }
        }
      }
      await new Promise<void>((resolve) => clock.after(50, resolve));
    }
    return new Set();
  }

  heard(session: string): void {
    this.#unheard.delete(session);
  }

  idle(session: string): Promise<void> | undefined {
    // Whom it was told to is no more.
    this.#unheard.delete(session);
    if (!this.#unsettled.has(session)) return undefined;
    return new Promise((resolve) => {
      const waiting = this.#idlers.get(session);
      if (waiting === undefined) this.#idlers.set(session, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** Commits what was taken, within `deadlineMs`, and takes no more. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    const { clock } = this.#options;
    const until = clock.nowMs() + deadlineMs;
    while ((this.#flight !== undefined || this.#queue.length > 0) && this.#open && clock.nowMs() < until)
      await new Promise<void>((resolve) => clock.after(2, resolve));
    await this.#sql?.end({ timeout: 1 }).catch(() => undefined);
  }

  // ---- transactions

  #kick(): void {
    if (this.#kicked || !this.#open || this.#flight !== undefined) return;
    this.#kicked = true;
    // At the end of the turn, so that everything that was read in it goes together.
    this.#options.clock.soon(() => {
      this.#kicked = false;
      if (!this.#open || this.#flight !== undefined || this.#queue.length === 0) return;
      if (this.#options.mayAct()) void this.#fly(this.#take());
      else this.#failed(this.#takeAll(), leaseOver);
    });
  }

  #take(): Item[] {
    const { batchEvents } = this.#options.limits;
    let events = 0;
    let chars = 0;
    let count = 0;
    for (const item of this.#queue) {
      events += item.request.events.length;
      chars += item.bytes;
      if (count > 0 && (events > batchEvents || chars > batchCharsMax)) break;
      count += 1;
    }
    const taken = count === this.#queue.length ? this.#queue : this.#queue.splice(0, count);
    if (taken === this.#queue) this.#queue = [];
    for (const item of taken) this.#queuedEvents -= item.request.events.length;
    return taken;
  }

  #takeAll(): Item[] {
    const all = this.#queue;
    this.#queue = [];
    this.#queuedEvents = 0;
    return all;
  }

  async #fly(items: Item[]): Promise<void> {
    const { clock } = this.#options;
    this.#flight = items;
    this.#flightSinceMs = clock.nowMs();
    try {
      const refused = await this.#commit(items);
      this.#options.observe?.(items.length, clock.nowMs() - this.#flightSinceMs);
      this.#land(items, refused);
    } catch (error) {
      if (this.#closed) {
        // Nobody is told: its outcome stays unknown to them, which is the truth.
        this.#open = false;
        return;
      }
      if (isServerError(error)) return this.#rolledBack(items, error);
      this.#options.log('warn', 'a commit was not answered: its outcome will be looked up', error);
      this.#open = false;
      void this.#connect();
    }
  }

  async #commit(items: readonly Item[]): Promise<Set<string>> {
    const { feed } = this.#options;
    if (feed !== undefined)
      for (const item of items) item.positions = item.request.events.map(() => feed.nextPosition(item.shard));
    const statement = statementFor(items, this.#writer, feed !== undefined);
    const rows = await this.#sql!.unsafe<{ held: string; bad?: string }[]>(statement.text, statement.params, {
      prepare: true,
    });
    return statement.refused(rows[0]!);
  }

  #land(items: readonly Item[], refused: ReadonlySet<string>): void {
    this.#flight = undefined;
    if (refused.size === 0) this.#committed(items);
    else {
      this.#options.log(
        'warn',
        `${refused.size} sessions were refused by the fence: another owner has their shards`,
      );
      this.#committed(items.filter((item) => !refused.has(item.request.session)));
      const out = items.filter((item) => refused.has(item.request.session));
      this.#failed(out, moved);
      const terms = new Map(out.map(({ shard, epoch }) => [shard, epoch]));
      for (const [shard, epoch] of terms) this.#options.refused?.(shard, epoch);
    }
    this.#flightOver();
  }

  #flightOver(): void {
    const late = this.#failAfterFlight;
    this.#failAfterFlight = [];
    if (late.length > 0) this.#failed(late, gone);
    if (this.#open) this.#refusing = false;
    if (this.#queue.length > 0) this.#kick();
  }

  #committed(items: readonly Item[]): void {
    this.#options.feed?.committed(items);
    const sessions = new Map<string, { instance: number; count: number }>();
    for (const { request } of items) {
      const sum = sessions.get(request.session);
      if (sum === undefined)
        sessions.set(request.session, { instance: request.instance, count: request.events.length });
      else sum.count += request.events.length;
    }
    for (const [session, { instance, count }] of sessions)
      this.#options.settle(session, { type: 'committed', instance, count });
    this.#options.committed?.(items);
    for (const item of items) this.#settled(item);
  }

  /** Fails these and everything of their sessions that is queued behind them, which was decided on top of them. */
  #failed(items: readonly Item[], why: Refusal): void {
    const sessions = new Map(items.map((item) => [item.request.session, item.request.instance]));
    const behind = this.#queue.filter((item) => sessions.has(item.request.session));
    if (behind.length > 0) {
      this.#queue = this.#queue.filter((item) => !sessions.has(item.request.session));
      for (const item of behind) this.#queuedEvents -= item.request.events.length;
    }
    for (const { request } of items) this.#unheard.set(request.session, request.term);
    for (const [session, instance] of sessions)
      this.#options.settle(session, { type: 'failed', instance, refusal: why });
    for (const item of [...items, ...behind]) this.#settled(item);
  }

  #settled({ request: { session }, shard }: Item): void {
    this.#unsettledOf[shard]! -= 1;
    const left = this.#unsettled.get(session)! - 1;
    if (left > 0) {
      this.#unsettled.set(session, left);
      return;
    }
    this.#unsettled.delete(session);
    const loading = this.#idlers.get(session);
    if (loading === undefined) return;
    this.#unheard.delete(session);
    this.#idlers.delete(session);
    for (const resolve of loading) resolve();
  }

  /** The server said no, so nothing is in. A passing cause is tried again; a bad row is found and fails alone. */
  #rolledBack(items: Item[], error: { code: string }): void {
    this.#flight = undefined;
    const sessions = new Set(items.map((item) => item.request.session));
    const passing = /^(40|53|55|57014)/.test(error.code);
    if (passing) {
      this.#options.log('warn', `a commit was rolled back (${error.code}) and is tried again`, error);
      this.#requeue(items);
      this.#open = false;
      this.#options.clock.after(100, () => {
        this.#open = true;
        this.#flightOver();
      });
      return;
    }
    if (sessions.size === 1) {
      this.#options.log(
        'error',
        `PostgreSQL refused an event of session ${items[0]!.request.session}`,
        error,
      );
      this.#failed(items, unfit);
      return this.#flightOver();
    }
    this.#options.log(
      'error',
      `PostgreSQL refused a batch (${error.code}): its sessions are tried one by one`,
      error,
    );
    void this.#flyApart(items, [...sessions]);
  }

  async #flyApart(items: readonly Item[], sessions: readonly string[]): Promise<void> {
    const half = sessions.length >>> 1;
    const first = new Set(sessions.slice(0, half));
    const rest = items.filter((item) => !first.has(item.request.session));
    // The rest waits at the head of the queue, ahead of what came later.
    this.#requeue(rest);
    await this.#fly(items.filter((item) => first.has(item.request.session)));
  }

  #requeue(items: readonly Item[]): void {
    this.#queue = items.concat(this.#queue);
    for (const item of items) this.#queuedEvents += item.request.events.length;
  }

  // ---- the database away and back

  async #connect(): Promise<void> {
    const { clock, log } = this.#options;
    for (let attempt = 0; !this.#closed; attempt += 1) {
      await this.#sql?.end({ timeout: 0 }).catch(() => undefined);
      const sql = this.#options.connect();
      const writer = this.#options.newWriter();
      this.#sql = sql;
      try {
        await bounded(clock, this.#options.limits.commitWaitMs, () =>
          claimWriter(sql, this.#ownTerms(), this.#options.owner, writer),
        );
        this.#writer = writer;
        if (this.#flight !== undefined) await this.#lookUp(sql, this.#flight);
        this.#open = true;
        this.#flightOver();
        log('info', 'the journal is connected');
        return;
      } catch (error) {
        if (attempt % 20 === 0) log('error', 'the journal can’t reach the database; it keeps trying', error);
        await new Promise<void>((resolve) => clock.after(Math.min(1000, 50 * 2 ** attempt), resolve));
      }
    }
  }

  #ownTerms(): Term[] {
    const { ownShards, epochOf } = this.#options;
    return ownShards().map((shard) => ({ shard, epoch: epochOf(shard) }));
  }

  /** Which of the flight is in: the old connection can't add to it any more. */
  async #lookUp(sql: Sql, items: readonly Item[]): Promise<void> {
    const firsts = items.map(({ request }) => ({ session: request.session, seq: request.events[0]!.seq }));
    const rows = await bounded(this.#options.clock, this.#options.limits.commitWaitMs, () =>
      sql.unsafe<{ session: string; seq: number; data: string }[]>(
        `select e.session::text, e.seq, e.data::text from unnest($1::text::uuid[], $2::text::int[]) f (session, seq)
         join events e on e.session = f.session and e.seq = f.seq`,
        [`{${firsts.map((it) => it.session).join(',')}}`, `{${firsts.map((it) => it.seq).join(',')}}`],
      ),
    );
    // By the event itself: in its place there may be one of a new owner, who has overtaken us.
    const there = new Map(rows.map((row) => [`${row.session}:${row.seq}`, row.data]));
    const isIn = ({ request: { session, events } }: Item): boolean =>
      there.get(`${session}:${events[0]!.seq}`) === events[0]!.json;
    const oldestMs = this.#options.clock.nowMs() - this.#options.limits.commitWaitMs;
    this.#flight = undefined;
    this.#committed(items.filter(isIn));
    const out = items.filter((item) => !isIn(item));
    const late = new Set(out.filter((item) => item.addedMs < oldestMs).map((item) => item.request.session));
    // What is too old to be tried again fails with all that follows it in its session; the rest goes first again.
    this.#requeue(out.filter((item) => !late.has(item.request.session)));
    if (late.size > 0)
      this.#failed(
        out.filter((item) => late.has(item.request.session)),
        gone,
      );
  }

  /** Looks now and then whether the queue has waited too long, and whether a flight hangs. */
  #watch(): void {
    const { clock, limits, log } = this.#options;
    clock.after(tickMs, () => {
      if (this.#closed) return;
      this.#watch();
      const now = clock.nowMs();
      // Their actors went with the shard.
      for (const [session, { shard, epoch }] of this.#unheard)
        if (this.#options.epochOf(shard) !== epoch) this.#unheard.delete(session);
      const oldest = this.#queue[0];
      if (oldest !== undefined && now - oldest.addedMs > limits.commitWaitMs) this.#giveUpQueue();
      if (this.#open && this.#flight !== undefined && now - this.#flightSinceMs > 2 * limits.commitWaitMs) {
        log('error', 'a commit hangs: its connection is given up');
        this.#flightSinceMs = now;
        // Ends the query with an error, and with it begins the look-up.
        void this.#sql?.end({ timeout: 0 }).catch(() => undefined);
      }
    });
  }

  #giveUpQueue(): void {
    this.#options.log(
      'error',
      `${this.#queuedEvents} events waited too long for the database and are refused`,
    );
    this.#refusing = true;
    const inFlight = new Set(this.#flight?.map((item) => item.request.session));
    const queue = this.#takeAll();
    this.#failAfterFlight.push(...queue.filter((item) => inFlight.has(item.request.session)));
    this.#failed(
      queue.filter((item) => !inFlight.has(item.request.session)),
      gone,
    );
    // The database was not away: this process stood still. No flight will end and say so.
    if (this.#open && this.#flight === undefined) this.#refusing = false;
  }
}
