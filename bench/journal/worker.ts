import { parentPort, workerData } from 'node:worker_threads';
import { messageEvent } from '../../src/actors/session-events.ts';
import { shardCount, shardOf } from '../../src/core/ids.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { openPool, type DatabaseAddress } from '../../src/store/database.ts';
import { PostgresJournal, type Outcome } from '../../src/store/journal.ts';
import { Histogram, type PackedHistogram } from '../../src/stress/histogram.ts';
import type { Way } from './plan.ts';

/** A thread with its part of the shards, and the sessions of these that write. */
export interface Start {
  readonly address: DatabaseAddress;
  readonly index: number;
  /** Threads in all: this one has the shards whose number leaves its own. */
  readonly threads: number;
}
export interface WriteOrder {
  /** Different in each order: its sessions are new, and its terms above those before. */
  readonly number: number;
  readonly writers: number;
  readonly way: Way;
  readonly warmMs: number;
  readonly runMs: number;
}
export interface Written {
  /** Within the run, warming up left out. */
  readonly perSecond: number;
  readonly latency: PackedHistogram;
  /** Of the run: events, and transactions that had some. */
  readonly batches: number;
  /** From the start to the end: what the table must hold. */
  readonly committed: number;
  readonly refused: number;
}

interface Writer {
  readonly session: string;
  readonly isLost: boolean;
  seq: number;
  sinceMs: number;
}

const { address, index, threads } = workerData as Start;
const from = '{"kind":"customer","id":"0192f000-0000-7000-8000-000000000001","name":"Ada Lovelace"}';
const texts = [
  'Is the blue one in stock in size 42, and when would it be here?',
  '这件蓝色的42码还有货吗？什么时候能到？',
];

/** Sessions of this thread's shards by a fixed rule, no two orders the same. */
function writersOf(order: WriteOrder): Writer[] {
  const lostPercent = order.way.how === 'journal' ? (order.way.lostPercent ?? 0) : 0;
  const writers: Writer[] = [];
  for (let number = 0; writers.length < order.writers; number += 1) {
    const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
    const session = `${hex(0x0192_0000 + order.number, 8)}-${hex(number >>> 16, 4)}-7000-8000-${hex(number * 104_729, 12)}`;
    const shard = shardOf(session);
    if (threads > 1 && shard % threads !== index) continue;
    const isLost = isLostShard(shard);
    const lostNow = writers.filter((writer) => writer.isLost).length;
    const mayLose = lostPercent > 0 && lostNow < (order.writers * lostPercent) / 100;
    if (isLost && !mayLose) continue;
    writers.push({ session, isLost, seq: 1, sinceMs: 0 });
  }
  return writers;
}

/** These are taken away by another owner where an order says so; nobody else's session is on them. */
function isLostShard(shard: number): boolean {
  return shard >= shardCount - 8;
}

class Run {
  readonly #order: WriteOrder;
  readonly #latency = new Histogram();
  #append: (writer: Writer) => void = () => undefined;
  #batches = 0;
  #committed = 0;
  #refused = 0;
  #writing = 0;
  #isMeasured = false;
  #isOver = false;
  #ended: () => void = () => undefined;

  constructor(order: WriteOrder) {
    this.#order = order;
  }

  /** Each writer appends anew when it heard of its last event, for the time of the order. */
  async through(writers: readonly Writer[], append: (writer: Writer) => void): Promise<Written> {
    this.#append = append;
    const ended = new Promise<void>((resolve) => (this.#ended = resolve));
    this.#writing = writers.length;
    for (const writer of writers) this.#next(writer);
    await wait(this.#order.warmMs);
    this.#isMeasured = true;
    const startedMs = realClock.nowMs();
    await wait(this.#order.runMs);
    this.#isMeasured = false;
    this.#isOver = true;
    const perSecond = (this.#latency.count / (realClock.nowMs() - startedMs)) * 1000;
    await ended;
    return {
      perSecond,
      latency: this.#latency.packed(),
      batches: this.#batches,
      committed: this.#committed,
      refused: this.#refused,
    };
  }

  batch(): void {
    if (this.#isMeasured) this.#batches += 1;
  }

  committed(writer: Writer): void {
    this.#committed += 1;
    writer.seq += 1;
    if (this.#isMeasured) this.#latency.add(realClock.nowMs() - writer.sinceMs);
    this.#next(writer);
  }

  refused(writer: Writer): void {
    this.#refused += 1;
    this.#next(writer);
  }

  #next(writer: Writer): void {
    if (this.#isOver) {
      this.#writing -= 1;
      if (this.#writing === 0) this.#ended();
      return;
    }
    writer.sinceMs = realClock.nowMs();
    this.#append(writer);
  }
}

const wait = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    realClock.after(ms, resolve);
  });

function eventOf({ session, seq }: Writer, isBad: boolean): ReturnType<typeof messageEvent> {
  // A bad row: there is a first event of this session already.
  const at = isBad ? 1 : seq;
  const id = `${session.slice(0, 23)}-${String(seq).padStart(12, '0')}`;
  const body = { type: 'text', text: texts[seq % texts.length] };
  return messageEvent(session, at, realClock.wallMs(), 'customer', from, id, body);
}

async function byJournal(order: WriteOrder, way: Extract<Way, { how: 'journal' }>): Promise<Written> {
  const writers = writersOf(order);
  const known = new Map(writers.map((writer) => [writer.session, writer]));
  const epoch = order.number * 2 + 1;
  const shards = Array.from({ length: shardCount }, (_, shard) => shard).filter(
    (shard) => shard % threads === index,
  );
  const run = new Run(order);
  // As the actors do, which hear of it in a turn of theirs.
  let heard: (() => void)[] = [];
  const settle = (session: string, outcome: Outcome): void => {
    if (heard.length === 0)
      realClock.soon(() => {
        const all = heard;
        heard = [];
        for (const tell of all) tell();
      });
    const writer = known.get(session)!;
    if (outcome.type === 'committed') heard.push(() => run.committed(writer));
    else
      heard.push(() => {
        journal.heard(session);
        run.refused(writer);
      });
  };
  const journal = new PostgresJournal({
    clock: realClock,
    connect: () => openPool(address, `bench ${index}`, 1, 30_000),
    newWriter: () => `writer ${String(order.number).padStart(6, '0')}`,
    epochOf: () => epoch,
    ownShards: () => shards,
    owner: `bench ${index}`,
    mayAct: () => true,
    settle,
    log: () => undefined,
    limits: { batchEvents: way.batchEvents, queueEvents: 50_000, commitWaitMs: 10_000 },
    observe: () => run.batch(),
  });
  await journal.start();
  await journal.take(shards.map((shard) => ({ shard, epoch })));
  if (way.lostPercent !== undefined) await takeAway(epoch + 1);
  let appended = 0;
  const written = await run.through(writers, (writer) => {
    appended += 1;
    const isBad = way.badEvery !== undefined && appended % way.badEvery === 0 && writer.seq > 1;
    const { session } = writer;
    const isTaken = journal.append({
      session,
      instance: 1,
      term: { shard: shardOf(session), epoch },
      events: [eventOf(writer, isBad)],
      state: undefined,
      fence: undefined,
    });
    if (!isTaken) throw new Error('the journal did not take an event');
  });
  await journal.close(5000);
  return written;
}

async function takeAway(epoch: number): Promise<void> {
  const sql = openPool(address, 'bench other', 1, 30_000);
  await sql`update shards set epoch = ${epoch}, owner = 'other' where id >= ${shardCount - 8}`;
  await sql.end();
}

/** What would be written without a journal: the fence and the event in one statement, which is its transaction. */
const singleSql = `
  with held as materialized (select id from shards where id = $1 and epoch = $2 for share)
  insert into events (session, seq, data) select $3::text::uuid, $4, $5::text::json from held`;

async function bySingles(order: WriteOrder, connections: number): Promise<Written> {
  const sql = openPool(address, `bench singles ${index}`, connections, 30_000);
  const epoch = order.number * 2 + 1;
  await sql`update shards set epoch = ${epoch}`;
  const run = new Run(order);
  const written = await run.through(writersOf(order), (writer) => {
    const { seq, json } = eventOf(writer, false);
    sql
      .unsafe(singleSql, [shardOf(writer.session), epoch, writer.session, seq, json], { prepare: true })
      .then(
        ({ count }) => {
          if (count !== 1) throw new Error('the fence did not hold');
          run.batch();
          run.committed(writer);
        },
        (error: unknown) => {
          throw error;
        },
      );
  });
  await sql.end();
  return written;
}

parentPort!.on('message', (order: WriteOrder) => {
  const { way } = order;
  const written = way.how === 'journal' ? byJournal(order, way) : bySingles(order, way.connections);
  written.then(
    (result) => parentPort!.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
