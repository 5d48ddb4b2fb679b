import { hash32, shardCount } from '../core/ids.ts';

/** Who may own shards, and how much of them. */
export interface Candidate {
  /** The name that outlives restarts: a node that comes back gets the same shards back. */
  readonly node: string;
  readonly workers: number;
}

/**
 * Weighted rendezvous hashing: every node computes the same owner of each shard from the same members, and a member
 * that comes or goes moves only its own share. Returns the node by shard; empty when there are no members.
 */
export function placeShards(members: readonly Candidate[]): string[] {
  if (members.length === 0) return [];
  const owners: string[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    let best = members[0]!;
    let bestScore = -Infinity;
    for (const member of members) {
      const score = scoreOf(member, shard);
      if (score > bestScore || (score === bestScore && member.node < best.node)) {
        best = member;
        bestScore = score;
      }
    }
    owners.push(best.node);
  }
  return owners;
}

/** -weight / ln(h) with h in (0, 1): the share of each member is its weight's share of the sum. */
function scoreOf({ node, workers }: Candidate, shard: number): number {
  const h = (hash32(`${shard} ${node}`) + 1) / (2 ** 32 + 1);
  return -workers / Math.log(h);
}

/** The placement of the last members that were asked for: they are nearly always the same. */
export class Placement {
  #key = '';
  #owners: readonly string[] = [];

  of(members: readonly Candidate[]): readonly string[] {
    const key = members
      .map(({ node, workers }) => `${node}:${workers}`)
      .sort()
      .join();
    if (key !== this.#key) {
      this.#key = key;
      this.#owners = placeShards(members);
    }
    return this.#owners;
  }
}

/** The worker thread that has the fewest of a node's shards. */
export function leastLoaded(mine: Iterable<{ readonly worker: number }>, workers: number): number {
  const loads = new Array<number>(workers).fill(0);
  for (const { worker } of mine) loads[worker]! += 1;
  return loads.indexOf(Math.min(...loads));
}
