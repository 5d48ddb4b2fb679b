import type { Beat, Generation, Member, ProcessId } from './ports.ts';

/** What is known of one other process. */
interface Peer {
  member: Member;
  seq: number;
  /** On our monotonic clock; when it was learned of, if it was never heard. */
  heardMs: number;
  heard: boolean;
  hears: ReadonlySet<ProcessId>;
  /** Since when its beats have said that it hears nobody: what it is sent is lost, though we hear it. */
  deafSinceMs: number | undefined;
}

export interface MembersOptions {
  readonly self: ProcessId;
  /** A process that nobody has heard for this long is given up. */
  readonly suspectMs: number;
}

/** Generations that were given up are remembered for their owners to hear of it; the oldest are forgotten. */
const deadMax = 64;

/**
 * Who else is there. A process is alive while its beats are heard, by us or by somebody whom we hear; who is silent
 * for longer than `suspectMs` is given up, and the generation that was given up never returns. Whoever hears nobody
 * may be the one who is cut off: then nobody is given up before a leader read has shown that we are not (`isAlone`).
 */
export class Members {
  readonly #options: MembersOptions;
  readonly #peers = new Map<ProcessId, Peer>();
  readonly #dead: Generation[] = [];
  /** The last generation of ours that each of the others has given up. */
  readonly #forgot = new Map<ProcessId, Generation>();

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Generations that were given up here. */
  get dead(): readonly Generation[] {
    return this.#dead;
  }

  /** Others that were heard at least once. */
  get heard(): readonly Member[] {
    return [...this.#peers.values()].filter((peer) => peer.heard).map((peer) => peer.member);
  }

  has(process: ProcessId): boolean {
    return this.#peers.has(process);
  }

  member(process: ProcessId): Member | undefined {
    return this.#peers.get(process)?.member;
  }

  /** Those whom we heard just now, so that others need not give them up; no longer, or they would vouch for a dead one. */
  hears(nowMs: number): ProcessId[] {
    const heard: ProcessId[] = [];
    for (const [process, peer] of this.#peers) {
      if (peer.heard && nowMs - peer.heardMs < this.#options.suspectMs / 2) heard.push(process);
    }
    return heard;
  }

  /** Those that are alive as far as we know, and for how long they were not heard. */
  status(nowMs: number): (Member & { silenceMs: number })[] {
    return [...this.#peers.values()].map(({ member, heardMs }) => ({
      ...member,
      silenceMs: nowMs - heardMs,
    }));
  }

  /** False: it is old, out of order, or of a generation that was given up, and must not be believed. */
  receive(beat: Beat, nowMs: number): boolean {
    if (beat.process === this.#options.self || this.#dead.includes(beat.generation)) return false;
    const peer = this.#peers.get(beat.process);
    if (peer !== undefined && peer.heard && beat.seq <= peer.seq) return false;
    this.#peers.set(beat.process, {
      member: beat,
      seq: beat.seq,
      heardMs: nowMs,
      heard: true,
      hears: new Set(beat.hears),
      deafSinceMs: beat.hears.length > 0 ? undefined : (peer?.deafSinceMs ?? nowMs),
    });
    return true;
  }

  /**
   * News that this process gave an earlier generation of ours up, perhaps long after the others: it has forgotten then
   * who follows something there from here.
   */
  forgotUs({ process, dead }: Beat): boolean {
    const ours = dead.findLast((generation) => generation.startsWith(`${this.#options.self}.`));
    if (ours === undefined || this.#forgot.get(process) === ours) return false;
    this.#forgot.set(process, ours);
    return true;
  }

  /** A heartbeat that was read in the lease store: somebody whom we may never have heard. */
  readOf(member: Member, nowMs: number): void {
    if (member.process === this.#options.self || this.#dead.includes(member.generation)) return;
    if (this.#peers.has(member.process)) return;
    this.#peers.set(member.process, {
      member,
      seq: -1,
      heardMs: nowMs,
      heard: false,
      hears: new Set(),
      deafSinceMs: undefined,
    });
  }

  /** There are others, and none of them was heard for most of the time after which they would be given up. */
  isAlone(nowMs: number): boolean {
    if (this.#peers.size === 0) return false;
    for (const peer of this.#peers.values())
      if (peer.heard && nowMs - peer.heardMs < 0.75 * this.#options.suspectMs) return false;
    return true;
  }

  /**
   * Those to be given up: silent for too long, and nobody whom we hear says that it hears them; or deaf for too long,
   * while somebody else hears us.
   */
  silent(nowMs: number): ProcessId[] {
    const { suspectMs, self } = this.#options;
    const silent: ProcessId[] = [];
    for (const [process, peer] of this.#peers) {
      const isDeaf = peer.deafSinceMs !== undefined && nowMs - peer.deafSinceMs > 2 * suspectMs;
      if (isDeaf && [...this.#peers.values()].some((other) => other !== peer && other.hears.has(self))) {
        silent.push(process);
        continue;
      }
      if (nowMs - peer.heardMs <= suspectMs) continue;
      let vouched = false;
      for (const [other, witness] of this.#peers)
        vouched ||=
          other !== process && nowMs - witness.heardMs < suspectMs / 2 && witness.hears.has(process);
      if (!vouched) silent.push(process);
    }
    return silent;
  }

  giveUp(process: ProcessId): Member | undefined {
    const peer = this.#peers.get(process);
    if (peer === undefined) return undefined;
    this.#peers.delete(process);
    this.#forgot.delete(process);
    this.#dead.push(peer.member.generation);
    if (this.#dead.length > deadMax) this.#dead.shift();
    return peer.member;
  }

  /** We were stalled, or the network was: whoever was not heard meanwhile has another `suspectMs`. */
  startClocksAnew(nowMs: number): void {
    for (const peer of this.#peers.values()) {
      peer.heardMs = nowMs;
      if (peer.deafSinceMs !== undefined) peer.deafSinceMs = nowMs;
    }
  }
}
