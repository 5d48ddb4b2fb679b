import type { Envelope, ThreadId } from '../actors/engine/types.ts';
import type { Member } from '../protocol/cluster-status.ts';

/**
 * What the cluster needs of the world. Adapted by lease-store-nats.ts and lease-store-local.ts, bus-nats.ts,
 * wire-nats.ts and src/store; the simulator has its own of each. Everything here may be late or lost, but for what the
 * lease store acknowledges, and even that may be forgotten: PostgreSQL's fence is what makes it safe. Beats may also
 * come twice; envelopes don't (core NATS repeats nothing).
 */

export type { Member };

/** One run of a node's program: `node~start`. Its threads are `node~start/0`, `node~start/1` … */
export type ProcessId = string;

/**
 * A process's membership: `node~start.1`, `node~start.2` … It lasts for as long as its heartbeat is acknowledged in
 * time; one that ended, or that others gave up, never returns: the process goes on under the next one.
 */
export type Generation = string;

/**
 * The terms of the shards and the heartbeats of the nodes: a Raft log with leader reads. Every method rejects when it
 * was not answered in time (about 3 s): the outcome is then unknown.
 */
export interface LeaseStore {
  /**
   * Creates the claim of a shard's epoch, which nobody can do twice. True: it is this generation's, now or already.
   * False: it is somebody else's. An answer that was lost is looked up before this settles.
   */
  claim(shard: number, epoch: number, generation: Generation): Promise<boolean>;
  /** Whose claim it is, by a leader read; undefined: nobody's. */
  claimant(shard: number, epoch: number): Promise<Generation | undefined>;
  /** Writes this member's heartbeat; settles when it has been acknowledged. */
  heartbeat(member: Member): Promise<void>;
  /** All heartbeats, by leader reads. */
  members(): Promise<readonly Member[]>;
  /** Takes the heartbeat of a generation that has ended away. */
  leave(generation: Generation): Promise<void>;
}

/** What members tell each other over core NATS, several times within `lease.suspect_after`, and at once when shards move. */
export interface Beat extends Member {
  /** Counts up with each beat of a process. */
  readonly seq: number;
  /** shard, epoch, worker; shard, epoch, worker; … of all shards that it has or is just taking. */
  readonly owned: readonly number[];
  /** The processes that it has heard lately. */
  readonly hears: readonly ProcessId[];
  /** Generations that it has given up: who finds its own here begins the next one. */
  readonly dead: readonly Generation[];
  /** The last one: this process ends. */
  readonly gone: boolean;
}

/** A lossy broadcast between the main threads of all nodes. */
export interface Bus {
  /** False while it can't be reached: nothing is kept for later. */
  readonly connected: boolean;
  publish(beat: Beat): void;
  /** Called with each beat of others. At most one listener. */
  listen(receive: (beat: Beat) => void): void;
}

/** The epochs as PostgreSQL has them. */
export interface Fences {
  /** By shard: 256 of them. Rejects when the database does not answer in time. */
  epochs(): Promise<readonly { readonly epoch: number; readonly owner: string }[]>;
}

/** A worker thread's way to threads of other nodes; between threads of one node there are ports. */
export interface Wire {
  /** Sends these together. False: nothing was sent, since it is full or not connected. */
  send(to: ThreadId, envelopes: readonly Envelope[]): boolean;
}

export interface Term {
  readonly shard: number;
  readonly epoch: number;
}

/** The worker threads, as the cluster's part of the main thread sees them. Their answers are calls of ClusterNode. */
export interface Workers {
  /** Take these terms: the epoch into PostgreSQL, then serve. Answered by `opened` for each. */
  open(worker: number, terms: readonly Term[]): void;
  /** Finish what was taken, give the shards up. Answered by `released` for each. */
  release(worker: number, terms: readonly Term[]): void;
  /** Give them up at once: they are somebody else's, or the lease is over. */
  drop(worker: number, shards: readonly number[]): void;
  /** The shard map has changed for these: who follows something there comes again, what is held goes on. */
  moved(shards: readonly number[]): void;
  /** Thread ids by the numbers that the shard map uses; only ever grows. */
  threads(all: readonly ThreadId[]): void;
  /** A process is gone: asks to it fail, its connections are forgotten. */
  lost(process: ProcessId): void;
}
