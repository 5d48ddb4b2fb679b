import type { Clock } from '../core/clock.ts';
import type { Generation, LeaseStore, Member, ProcessId } from './ports.ts';
import type { ShardMap } from './shard-map.ts';

export interface LeaseOptions {
  readonly clock: Clock;
  readonly store: LeaseStore;
  readonly shards: ShardMap;
  readonly process: ProcessId;
  /** From before the sending of a heartbeat that was acknowledged. Infinity: nobody else could take over. */
  readonly ttlMs: number;
  /** A node that slept for longer may have been given up, and has to look before it acts again. */
  readonly suspectMs: number;
  readonly member: (generation: Generation) => Member;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  /** The first heartbeat of a generation has been acknowledged. */
  readonly joined: () => void;
  /** The generation has ended: its shards must be given up at once. */
  readonly ended: () => void;
}

/**
 * What allows this node to act for its shards: a heartbeat that was acknowledged within `ttlMs`, and a main thread
 * that has run within `suspectMs`. Both bounds go into the shard map, where the workers look before they act: a
 * process that slept finds the time past before anything else can run.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #number = 1;
  #joined = false;
  #deadlineMs = -Infinity;
  #nextMs = -Infinity;
  #sending = false;
  /** False from a sleep until what the others did meanwhile has been looked at. */
  #awake = true;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get generation(): Generation {
    return `${this.#options.process}.${this.#number}`;
  }

  get awake(): boolean {
    return this.#awake;
  }

  holds(nowMs: number): boolean {
    return this.#joined && this.#awake && nowMs < this.#deadlineMs;
  }

  /** How long it still holds without another acknowledgement. */
  leftMs(nowMs: number): number {
    return this.#joined ? Math.max(0, this.#deadlineMs - nowMs) : 0;
  }

  tick(nowMs: number): void {
    const { ttlMs } = this.#options;
    if (this.#joined && nowMs >= this.#deadlineMs)
      this.end(`no heartbeat was acknowledged for ${ttlMs} ms: this node gives its shards up`);
    this.#extend(nowMs);
    if (nowMs >= this.#nextMs && !this.#sending) this.#send(nowMs);
  }

  #extend(nowMs: number): void {
    const { ttlMs, suspectMs, shards } = this.#options;
    if (!this.holds(nowMs)) return;
    shards.extend(ttlMs === Infinity ? Infinity : Math.min(this.#deadlineMs, nowMs + suspectMs));
  }

  /** It slept, or its clocks jumped: nothing may be done before `woken`. */
  slept(): void {
    this.#awake = false;
    this.#options.shards.extend(0);
  }

  woken(): void {
    this.#awake = true;
  }

  /** Ends this generation; the next one begins with its first acknowledged heartbeat. */
  end(why: string): void {
    const { shards, log, ended, store } = this.#options;
    const old = this.generation;
    shards.extend(0);
    this.#number += 1;
    this.#deadlineMs = -Infinity;
    this.#nextMs = -Infinity;
    this.#awake = true;
    if (!this.#joined) return;
    this.#joined = false;
    log('error', why);
    ended();
    // Others find out by themselves too: it is only tidied up.
    store.leave(old).catch(() => undefined);
  }

  #send(sentMs: number): void {
    const { clock, store, member, ttlMs, log, joined } = this.#options;
    const { generation } = this;
    this.#sending = true;
    store.heartbeat(member(generation)).then(
      () => {
        this.#sending = false;
        if (generation !== this.generation) return;
        // Counted from before the send: whatever the store took to answer, others may have counted from then.
        this.#deadlineMs = sentMs + ttlMs;
        this.#nextMs = sentMs + Math.min(ttlMs / 4, 3_600_000);
        if (this.#joined || clock.nowMs() >= this.#deadlineMs) return;
        this.#joined = true;
        this.#extend(clock.nowMs());
        joined();
      },
      (error: unknown) => {
        this.#sending = false;
        this.#nextMs = clock.nowMs() + Math.min(1000, ttlMs / 20);
        log('warn', 'a heartbeat was not acknowledged; it is sent again', error);
      },
    );
  }
}
