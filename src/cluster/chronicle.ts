import type { ClusterEvent, ClusterStatus } from '../protocol/cluster-status.ts';

type Moved = Extract<ClusterEvent, { kind: 'moved' }>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Seen {
  process: string | null;
  epoch: number;
  /** The node that had it last. */
  node: string | null;
  /** Since when it is nobody's, on the wall clock; undefined while it is somebody's. */
  nobodysSince: number | undefined;
}

const eventsMax = 60;
/** Moves between the same two nodes within this are told as one. */
const togetherMs = 1_500;

/**
 * What has happened lately, for people: who came and went, and which shards moved. It only compares what it is shown
 * with what it was shown before, ten times a second, so that what decides over shards need not know of it.
 */
export class Chronicle {
  #recent: Mutable<ClusterEvent>[] = [];
  #members: ReadonlyMap<string, ClusterStatus['members'][number]> | undefined;
  #shards: Seen[] | undefined;

  /** The newest first. */
  get recent(): readonly ClusterEvent[] {
    return this.#recent;
  }

  observe(status: ClusterStatus, wallMs: number): void {
    const before = this.#members;
    this.#seeMembers(status, wallMs);
    // Whoever was lost has done nothing for its shards since it was last heard.
    this.#seeShards(status, wallMs, (process) => before?.get(process)?.silenceMs ?? 0);
  }

  #seeMembers({ members }: ClusterStatus, at: number): void {
    const before = this.#members;
    const now = new Map(members.map((member) => [member.process, member]));
    this.#members = now;
    for (const { node, process, url, draining } of before?.values() ?? [])
      if (!now.has(process)) this.#note({ kind: draining ? 'left' : 'lost', at, node, process, url });
    for (const { node, process, url } of now.values())
      if (before?.has(process) !== true) this.#note({ kind: 'came', at, node, process, url });
  }

  #seeShards(
    { self, members, shards }: ClusterStatus,
    at: number,
    silenceMs: (process: string) => number,
  ): void {
    const names = new Map(members.map(({ process, node }) => [process, node]));
    this.#shards ??= shards.map(() => ({ process: null, epoch: 0, node: null, nobodysSince: at }));
    for (const { shard, process, epoch } of shards) {
      const seen = this.#shards[shard]!;
      const isSame = seen.process === process && seen.epoch === epoch;
      if (isSame) continue;
      const last = seen.process;
      seen.epoch = epoch;
      seen.process = process;
      if (last !== null && !names.has(last)) seen.nobodysSince ??= at - silenceMs(last);
      if (process === null) {
        seen.nobodysSince ??= at;
        continue;
      }
      const to = names.get(process) ?? process;
      const gapMs = seen.nobodysSince === undefined ? 0 : at - seen.nobodysSince;
      // What others had when this node came is no move.
      if (seen.node !== null || process === self) this.#move(seen.node, to, gapMs, at);
      seen.node = to;
      seen.nobodysSince = undefined;
    }
  }

  #move(from: string | null, to: string, gapMs: number, at: number): void {
    const open = this.#recent.find(
      (event): event is Mutable<Moved> =>
        event.kind === 'moved' && event.from === from && event.to === to && at - event.at < togetherMs,
    );
    if (open === undefined) return this.#note({ kind: 'moved', at, from, to, shards: 1, gapMs });
    open.at = at;
    open.shards += 1;
    open.gapMs = Math.max(open.gapMs, gapMs);
  }

  #note(event: ClusterEvent): void {
    this.#recent = [event, ...this.#recent.slice(0, eventsMax - 1)];
  }
}
