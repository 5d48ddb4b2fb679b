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
}

/** Of a shard on the node that has it: claimed, its epoch on the way to PostgreSQL; open; or being given up. */
export type ShardPhase = 'claimed' | 'open' | 'releasing';

/** The cluster as one node sees it: what `kefu cluster status` and the admins' page show, and GET /v1/cluster answers. */
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
