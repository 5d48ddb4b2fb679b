import { MessageChannel, Worker } from 'node:worker_threads';
import type { ThreadId } from './actors/engine/types.ts';
import type { ProcessId, Term, Workers } from './cluster/ports.ts';
import { StartError } from './core/start-error.ts';
import type { ClusterReport } from './protocol/cluster-status.ts';
import { releaseThread } from './net/connection-counter.ts';
import type { FromWorker, ToWorker, WorkerLoad, WorkerStart } from './worker-messages.ts';

/** What the supervisor tells the cluster's part of this node. */
export interface ClusterSide {
  workerReady(worker: number): void;
  workerLost(worker: number): void;
  opened(term: Term, taken: boolean): void;
  released(term: Term): void;
  fenced(term: Term): void;
}

/** Starts the worker threads, joins them into a mesh, hands them their shards, and replaces those that die. */
export interface SupervisorOptions {
  readonly start: Omit<WorkerStart, 'index' | 'life' | 'known'>;
  /** Made later than the supervisor, which it needs. */
  readonly cluster: () => ClusterSide;
  readonly report: () => ClusterReport;
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
  /** It can be given shards; or, if it died before that, its replacement can. */
  ready: () => void;
}

/** Replacements within `windowMs`; one more and the node stops, for whoever runs it to see. */
const replacementsMax = 10;
const windowMs = 60_000;

export class Supervisor implements Workers {
  readonly #options: SupervisorOptions;
  readonly #slots: Slot[] = [];
  readonly #loads: WorkerLoad[] = [];
  #deaths: number[] = [];
  #stopping = false;
  #known: readonly ThreadId[] = [];
  /** Shards of this turn: many may move in one. */
  #moved = new Set<number>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get #threads(): readonly ThreadId[] {
    return this.#options.start.threads;
  }

  /** What the workers said last of themselves. */
  get loads(): readonly WorkerLoad[] {
    return Object.values(this.#loads);
  }

  /** Settles when every worker can be given shards. */
  async start(): Promise<void> {
    const ready = this.#threads.map((_, index) => this.#spawn(index, 0));
    this.#threads.forEach((_, from) => {
      for (let to = from + 1; to < this.#threads.length; to += 1) this.#link(from, to);
    });
    await Promise.all(ready);
  }

  /** Settles when every worker takes connections. */
  async listen(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => this.#listen(slot)));
  }

  /** No new connections from here on. */
  close(): void {
    this.#toAll({ type: 'close' });
  }

  // ---- the cluster's orders

  open(worker: number, terms: readonly Term[]): void {
    this.#send(this.#slots[worker]!.worker, { type: 'open', terms });
  }

  release(worker: number, terms: readonly Term[]): void {
    this.#send(this.#slots[worker]!.worker, { type: 'release', terms });
  }

  drop(worker: number, shards: readonly number[]): void {
    this.#send(this.#slots[worker]!.worker, { type: 'drop', shards });
  }

  moved(shards: readonly number[]): void {
    if (this.#moved.size === 0)
      setImmediate(() => {
        const moved = [...this.#moved];
        this.#moved.clear();
        this.#toAll({ type: 'moved', shards: moved });
      });
    for (const shard of shards) this.#moved.add(shard);
  }

  threads(all: readonly ThreadId[]): void {
    this.#known = all;
    this.#toAll({ type: 'threads', all });
  }

  lost(process: ProcessId): void {
    this.#toAll({ type: 'lost', threads: this.#known.filter((thread) => thread.startsWith(`${process}/`)) });
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
    const workerData: WorkerStart = { ...this.#options.start, index, life, known: this.#known };
    const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData });
    const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const slot: Slot = { worker, life, exit, drained: undefined, ready: () => undefined };
    this.#slots[index] = slot;
    worker.on('error', (error: Error) =>
      this.#options.log('error', `worker ${index} failed: ${error.message}`),
    );
    void exit.then(() => {
      slot.drained?.();
      if (!this.#stopping) void this.#replace(index, slot);
    });
    return new Promise((resolve) => {
      slot.ready = resolve;
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') resolve();
        else this.#heard(index, slot, message);
      });
    });
  }

  #heard(index: number, slot: Slot, message: Exclude<FromWorker, { type: 'ready' }>): void {
    const cluster = this.#options.cluster();
    switch (message.type) {
      case 'opened':
        return cluster.opened(message.term, message.taken);
      case 'released':
        return cluster.released(message.term);
      case 'fenced':
        return cluster.fenced(message.term);
      case 'askStatus':
        return this.#send(slot.worker, { type: 'status', id: message.id, status: this.#options.report() });
      case 'load':
        this.#loads[index] = message.load;
        return;
      case 'drained':
        return slot.drained?.();
      case 'crashing':
        return this.#options.log('error', `worker ${index} is crashing: ${message.reason}`);
      case 'listening':
        return;
    }
  }

  #listen({ worker, exit }: Slot): Promise<void> {
    return new Promise((resolve, reject) => {
      // If it dies first, its replacement listens by itself.
      void exit.then(resolve);
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'listening') resolve();
        if (message.type === 'crashing') reject(new StartError(message.reason));
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
    const { log, escalate, start } = this.#options;
    const thread = this.#threads[index]!;
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < windowMs), now];
    if (this.#deaths.length > replacementsMax)
      return escalate(`${this.#deaths.length} workers died within a minute`);
    log('warn', `worker ${index} died; it is replaced, and its shards come back from the journal`);
    releaseThread(start.limits, index);
    const others = this.#slots.filter((_, other) => other !== index);
    this.#options.cluster().workerLost(index);
    for (const other of others) this.#send(other.worker, { type: 'lost', threads: [thread] });
    const ready = this.#spawn(index, dead.life + 1);
    for (let other = 0; other < this.#threads.length; other += 1)
      if (other !== index) this.#link(index, other);
    await ready;
    dead.ready();
    this.#options.cluster().workerReady(index);
    await this.#listen(this.#slots[index]!);
    log('info', `worker ${index} serves again`);
  }

  #toAll(message: ToWorker): void {
    for (const { worker } of this.#slots) this.#send(worker, message);
  }

  #send(worker: Worker, message: ToWorker): void {
    worker.postMessage(message);
  }
}
