import { MessageChannel, Worker } from 'node:worker_threads';
import type { ThreadId } from './actors/engine/types.ts';
import type { ShardMap } from './cluster/shard-map.ts';
import { releaseThread } from './net/connection-counter.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker.ts';

/** Starts the worker threads, joins them into a mesh, and replaces those that die. */
export interface SupervisorOptions {
  readonly start: Omit<WorkerStart, 'index' | 'life'>;
  readonly shards: ShardMap;
  /** New epochs for these shards, so that whatever the dead worker still has on its way is refused. Keeps trying. */
  readonly takeShards: (shards: readonly number[]) => Promise<void>;
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void;
  /** Workers die faster than they can be replaced: the node gives up. */
  readonly escalate: (reason: string) => void;
}

interface Slot {
  worker: Worker;
  life: number;
  /** Called when it has drained, or is gone. */
  drained: (() => void) | undefined;
  readonly exit: Promise<void>;
}

/** Replacements within `windowMs`; one more and the node stops, for whoever runs it to see. */
const replacementsMax = 10;
const windowMs = 60_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: Slot[] = [];
  #deaths: number[] = [];
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get #threads(): readonly ThreadId[] {
    return this.#options.start.threads;
  }

  /** Settles when every worker listens. */
  async start(): Promise<void> {
    const ready = this.#threads.map((_, index) => this.#spawn(index, 0));
    this.#threads.forEach((_, from) => {
      for (let to = from + 1; to < this.#threads.length; to += 1) this.#link(from, to);
    });
    await Promise.all(ready);
    await Promise.all(this.#slots.map((slot) => this.#listen(slot.worker)));
  }

  /** Ends all workers: what they took is committed and acked, their clients are told. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const slots = [...this.#slots];
    const drained = slots.map((slot) => new Promise<void>((resolve) => (slot.drained = resolve)));
    for (const slot of slots) this.#send(slot.worker, { type: 'drain', deadlineMs });
    await Promise.all(drained);
    const exited = slots.map((slot) => slot.exit);
    for (const slot of slots) this.#send(slot.worker, { type: 'stop' });
    await Promise.all(exited);
  }

  /** Settles when the worker has its shards. */
  #spawn(index: number, life: number): Promise<void> {
    const workerData: WorkerStart = { ...this.#options.start, index, life };
    const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData });
    const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const slot: Slot = { worker, life, exit, drained: undefined };
    this.#slots[index] = slot;
    worker.on('error', (error: Error) =>
      this.#options.log('error', `worker ${index} failed: ${error.message}`),
    );
    void exit.then(() => {
      slot.drained?.();
      if (!this.#stopping) void this.#replace(index, slot);
    });
    return new Promise((resolve) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') resolve();
        if (message.type === 'drained') slot.drained?.();
        if (message.type === 'crashing')
          this.#options.log('error', `worker ${index} is crashing: ${message.reason}`);
      });
    });
  }

  #listen(worker: Worker): Promise<void> {
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'listening') resolve();
        if (message.type === 'crashing') reject(new Error(message.reason));
      });
      this.#send(worker, { type: 'listen' });
    });
  }

  /** A pair of ports, and one count each way of what is on its way. */
  #link(a: number, b: number): void {
    const { port1, port2 } = new MessageChannel();
    const toB = new SharedArrayBuffer(8);
    const toA = new SharedArrayBuffer(8);
    const [threadA, threadB] = [this.#threads[a]!, this.#threads[b]!];
    this.#slots[a]!.worker.postMessage(
      { type: 'link', thread: threadB, port: port1, sent: toB, received: toA },
      [port1],
    );
    this.#slots[b]!.worker.postMessage(
      { type: 'link', thread: threadA, port: port2, sent: toA, received: toB },
      [port2],
    );
  }

  async #replace(index: number, dead: Slot): Promise<void> {
    const { log, shards, escalate, start } = this.#options;
    const thread = this.#threads[index]!;
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < windowMs), now];
    if (this.#deaths.length > replacementsMax)
      return escalate(`${this.#deaths.length} workers died within a minute`);
    log('warn', `worker ${index} died; it is replaced, and its shards come back from the journal`);
    releaseThread(start.limits, index);
    const others = this.#slots.filter((_, other) => other !== index);
    for (const other of others) this.#send(other.worker, { type: 'lost', thread });
    await this.#options.takeShards(shards.shardsOf(index));
    if (this.#stopping) return;
    const ready = this.#spawn(index, dead.life + 1);
    for (let other = 0; other < this.#threads.length; other += 1)
      if (other !== index) this.#link(index, other);
    await ready;
    for (const other of others) this.#send(other.worker, { type: 'taken', thread });
    await this.#listen(this.#slots[index]!.worker);
    log('info', `worker ${index} serves again`);
  }

  #send(worker: Worker, message: ToWorker): void {
    worker.postMessage(message);
  }
}
