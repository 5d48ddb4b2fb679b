/** What a node tells of itself. */
export interface Member {
  readonly node: string;
  readonly process: string;
  readonly generation: string;
  /** Worker threads: its weight in the placement. */
  readonly workers: number;
  /** Where people reach it. */
  readonly url: string;
  /** It takes no more shards, and gives away those that it has. */
  readonly draining: boolean;
  /** Of the software, for people. */
  readonly version: string;
  /** As of a second ago at most; older versions don't tell. */
  readonly health?: NodeHealth;
}

/** How a node does, for people and metrics: nothing is decided by it. */
export interface NodeHealth {
  /** Open WebSockets. */
  readonly connections: number;
  /** Events that wait for a journal transaction. */
  readonly journalQueue: number;
  /** Events that wait for the change feed, and the age of the oldest; null without NATS. */
  readonly feed: { readonly waiting: number; readonly lagMs: number } | null;
  /** How long PostgreSQL took to answer just now; null: it did not within 2 s. */
  readonly databaseMs: number | null;
  /** The same of NATS; null without it. */
  readonly natsMs: number | null;
  /** Null: for ever, for a node alone. */
  readonly leaseLeftMs: number | null;
}

/** Of a shard on the node that has it: claimed, its epoch on the way to PostgreSQL; open; or being given up. */
export type ShardPhase = 'claimed' | 'open' | 'releasing';

/** The cluster as one node sees it. */
export interface ClusterStatus {
  /** The process that tells. */
  readonly self: string;
  /** False: a node alone. */
  readonly clustered: boolean;
  /** Whether NATS is reached. */
  readonly connected: boolean;
  /** `leftMs` is null in JSON, Infinity here, for a node alone: nobody else could take over. */
  readonly lease: { readonly holds: boolean; readonly leftMs: number };
  /** This one first. */
  readonly members: readonly (Member & { readonly silenceMs: number })[];
  /** 256 of them. `process` is null while it is nobody's as far as this node has heard. */
  readonly shards: readonly {
    readonly shard: number;
    readonly epoch: number;
    readonly process: string | null;
    readonly worker: number | null;
    readonly phase: ShardPhase | 'elsewhere' | 'nobody';
  }[];
  /** Since this process started. */
  readonly counts: {
    readonly claims: number;
    readonly claimsLost: number;
    readonly releases: number;
    readonly drops: number;
    readonly steps: number;
    readonly gaveUp: number;
  };
}

/** What happened in the cluster, as one node saw it. `at`: milliseconds since 1970. */
export type ClusterEvent =
  | {
      /** It left in good order, or was lost: died, stood still, or was cut off. */
      readonly kind: 'came' | 'left' | 'lost';
      readonly at: number;
      readonly node: string;
      readonly process: string;
      readonly url: string;
    }
  | {
      readonly kind: 'moved';
      /** Of the last of these shards. */
      readonly at: number;
      /** The nodes' names; null: whoever had them before this node came. */
      readonly from: string | null;
      readonly to: string;
      readonly shards: number;
      /** The longest that one of them had no owner. */
      readonly gapMs: number;
    };

/** What `kefu cluster status` and the admins' page show, and GET /v1/cluster answers. */
export interface ClusterReport extends ClusterStatus {
  /** When it was made: milliseconds since 1970. */
  readonly at: number;
  /** `startedAt`: milliseconds since 1970, by the member's own clock. */
  readonly members: readonly (ClusterStatus['members'][number] & { readonly startedAt: number | null })[];
  /** Null without NATS. */
  readonly nats: { readonly server: string; readonly replicas: number } | null;
  /** The newest first. */
  readonly recent: readonly ClusterEvent[];
}
