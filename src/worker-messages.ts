import type { MessagePort } from 'node:worker_threads';
import type { ThreadId } from './actors/engine/types.ts';
import type { ProcessId, Term } from './cluster/ports.ts';
import type { ClusterReport } from './protocol/cluster-status.ts';
import type { Config } from './config.ts';
import type { TokenKey } from './net/tokens.ts';
import type { DatabaseAddress } from './store/database.ts';

/** What the main thread and its workers say to each other. */

/** What a worker is given at its start. */
export interface WorkerStart {
  readonly config: Config;
  readonly index: number;
  /** Which life of this worker number; above those of the workers it replaces. */
  readonly life: number;
  readonly process: ProcessId;
  /** Of this node. */
  readonly threads: readonly ThreadId[];
  /** Of the cluster: what the shard map's numbers mean. */
  readonly known: readonly ThreadId[];
  readonly shards: SharedArrayBuffer;
  readonly limits: SharedArrayBuffer;
  readonly database: DatabaseAddress;
  readonly tokenKeys: readonly TokenKey[];
  readonly port: number;
  /** Of the software. */
  readonly version: string;
}

/** What a worker tells of itself every second. */
export interface WorkerLoad {
  readonly connections: number;
  /** Events that wait for a journal transaction. */
  readonly journalQueue: number;
  readonly feed: { readonly waiting: number; readonly lagMs: number } | null;
}

export type ToWorker =
  | {
      readonly type: 'link';
      readonly thread: ThreadId;
      readonly port: MessagePort;
      readonly sent: SharedArrayBuffer;
      readonly received: SharedArrayBuffer;
    }
  /** Threads of this node, or of another, are gone: asks to them fail, their connections are forgotten. */
  | { readonly type: 'lost'; readonly threads: readonly ThreadId[] }
  /** What the shard map's numbers mean; comes before a new number is used. */
  | { readonly type: 'threads'; readonly all: readonly ThreadId[] }
  /** The map has changed for these shards. */
  | { readonly type: 'moved'; readonly shards: readonly number[] }
  | { readonly type: 'open'; readonly terms: readonly Term[] }
  | { readonly type: 'release'; readonly terms: readonly Term[] }
  | { readonly type: 'drop'; readonly shards: readonly number[] }
  | { readonly type: 'status'; readonly id: number; readonly status: ClusterReport }
  | { readonly type: 'listen' }
  /** Take no new connections. */
  | { readonly type: 'close' }
  /** Take nothing new, commit and ack what was taken. */
  | { readonly type: 'drain'; readonly deadlineMs: number }
  /** Tell the clients, and end. */
  | { readonly type: 'stop' };

export type FromWorker =
  /** Its journal is connected: it can be given shards. */
  | { readonly type: 'ready' }
  | { readonly type: 'listening' }
  | { readonly type: 'drained' }
  | { readonly type: 'opened'; readonly term: Term; readonly taken: boolean }
  | { readonly type: 'released'; readonly term: Term }
  /** The fence has refused a commit under this term. */
  | { readonly type: 'fenced'; readonly term: Term }
  | { readonly type: 'askStatus'; readonly id: number }
  | { readonly type: 'load'; readonly load: WorkerLoad }
  | { readonly type: 'crashing'; readonly reason: string };
