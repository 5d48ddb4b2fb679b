import type { Chance, Clock } from '../core/clock.ts';
import { shardCount } from '../core/ids.ts';
import { Claims } from './claims.ts';
import { Lease } from './lease.ts';
import { Members } from './members.ts';
import type { Beat, Bus, Fences, Generation, LeaseStore, Member, ProcessId, Term, Workers } from './ports.ts';
import { leastLoaded, Placement } from './rendezvous.ts';
import type { ShardMap } from './shard-map.ts';
import { Stillness } from './stillness.ts';
import type { ClusterStatus, ShardPhase } from '../protocol/cluster-status.ts';
import { learn, Whereabouts } from './whereabouts.ts';

/**
 * A node's part in the cluster, on its main thread. Every shard that should be here by the placement and is nobody's
 * is claimed: claim of the next epoch, the epoch into PostgreSQL, load, serve. What is here and should be elsewhere
 * is given up in small portions, for the rightful owner to claim. A node alone is a cluster of one, without a bus.
 *
 *     nobody's ──claim──▶ claimed ──epoch in PostgreSQL──▶ open ──flush──▶ releasing ──▶ nobody's
 *                            └────────── overtaken, fenced, or the lease ended ──────────▶ dropped
 */
export interface ClusterOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly store: LeaseStore;
  /** undefined: there are no other nodes. */
  readonly bus: Bus | undefined;
  readonly fences: Fences;
  readonly workers: Workers;
  readonly shards: ShardMap;
  readonly self: Omit<Member, 'generation' | 'draining'>;
  readonly suspectMs: number;
  readonly ttlMs: number;
  readonly log: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
  /** Another node of this name was there first. */
  readonly twin: (url: string) => void;
}

interface Mine {
  readonly epoch: number;
  readonly worker: number;
  phase: ShardPhase;
}

const tickMs = 100;
/** Shards in motion at once when the placement has changed, a tenth; and when draining, so that each is silent for a short time. */
const motionMax = Math.floor(shardCount / 10);
const drainMotionMax = 8;
/** How often this node compares what it owns with the database. */
const lookMs = 5_000;
/** The members must have been the same for this long before shards are moved for balance. */
const steadyMs = 1_000;

export class ClusterNode {
  readonly #options: ClusterOptions;
  readonly #lease: Lease;
  readonly #members: Members;
  readonly #where: Whereabouts;
  readonly #mine = new Map<number, Mine>();
  readonly #claims: Claims;
  readonly #readyWorkers = new Set<number>();
  #draining = false;
  #stopped = false;
  #seq = 0;
  readonly #stillness: Stillness;
  #nextBeatMs = 0;
  #beatDue = false;
  #claimsFromMs = Infinity;
  #looking = false;
  #asking = false;
  #nextLookMs = 0;
  #steadySinceMs = 0;
  readonly #placement = new Placement();
  #cancelTick: () => void = () => undefined;
  #whenServing: (() => void)[] = [];
  #whenDrained: (() => void) | undefined;
  /** Since the start: for metrics. */
  readonly #counts = { releases: 0, drops: 0, steps: 0, gaveUp: 0 };

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { clock, self, store, shards, ttlMs, suspectMs, log } = options;
    this.#stillness = new Stillness(clock);
    this.#members = new Members({ self: self.process, suspectMs });
    this.#where = new Whereabouts(shards, (all) => options.workers.threads(all));
    this.#claims = new Claims({
      clock,
      chance: options.chance,
      store,
      fences: options.fences,
      log,
      epochOf: (shard) => this.#where.place(shard).epoch,
      mayLive: (owner) => this.#members.has(owner) && !this.#members.heard.some((it) => it.process === owner),
      won: (terms, generation) => this.#take(terms, generation),
    });
    this.#lease = new Lease({
      clock,
      store,
      shards,
      process: self.process,
      ttlMs,
      suspectMs,
      member: (generation) => this.#self(generation),
      log,
      joined: () => this.#joined(),
      ended: () => this.#ended(),
    });
  }

  /** Begins to take part. */
  start(): void {
    this.#options.bus?.listen((beat) => this.#heard(beat));
    this.#tick();
  }

  /** Settles when this node has all the shards that it should have, of those that are nobody's. */
  serving(): Promise<void> {
    return new Promise((resolve) => this.#whenServing.push(resolve));
  }

  workerReady(worker: number): void {
    this.#readyWorkers.add(worker);
    this.#options.workers.moved([...Array(shardCount).keys()]);
    this.#act();
  }

  /** A worker thread died: its shards are taken anew, under new epochs, when its replacement is ready. */
  workerLost(worker: number): void {
    this.#readyWorkers.delete(worker);
    for (const [shard, mine] of this.#mine) if (mine.worker === worker) this.#forget(shard);
    this.#beat();
  }

  opened({ shard, epoch }: Term, taken: boolean): void {
    const mine = this.#mine.get(shard);
    if (mine?.epoch !== epoch || mine.phase !== 'claimed') return;
    if (taken) mine.phase = 'open';
    else {
      this.#claims.retryLater(shard, epoch);
      this.#forget(shard);
    }
    this.#options.workers.moved([shard]);
    this.#beat();
    this.#tellServing();
  }

  released({ shard, epoch }: Term): void {
    const mine = this.#mine.get(shard);
    if (mine?.epoch !== epoch || mine.phase !== 'releasing') return;
    this.#counts.releases += 1;
    this.#forget(shard);
    this.#beat();
    this.#act();
  }

  /** A worker's journal was refused: somebody else has taken the shard. */
  fenced({ shard, epoch }: Term): void {
    if (this.#mine.get(shard)?.epoch === epoch) this.#drop([shard], 'another owner has it');
  }

  /** Gives all shards to others, as far as there are others; settles when none is left, or at the deadline. */
  drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#beat();
    const drained = new Promise<void>((resolve) => (this.#whenDrained = resolve));
    const cancel = this.#options.clock.after(deadlineMs, () => this.#whenDrained?.());
    this.#act();
    return drained.then(cancel);
  }

  /** Says good-bye. The shards that are still here are nobody's from now on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTick();
    this.#options.shards.extend(0);
    this.#mine.clear();
    this.#publish(true);
    await this.#options.store.leave(this.#lease.generation).catch(() => undefined);
  }

  status(): ClusterStatus {
    const { clock, self, bus } = this.#options;
    const now = clock.nowMs();
    return {
      self: self.process,
      clustered: bus !== undefined,
      connected: bus?.connected ?? true,
      lease: { holds: this.#lease.holds(now), leftMs: this.#lease.leftMs(now) },
      members: [{ ...this.#self(this.#lease.generation), silenceMs: 0 }, ...this.#members.status(now)],
      shards: this.#where.status((shard) => this.#mine.get(shard)?.phase),
      counts: { claims: this.#claims.made, claimsLost: this.#claims.lost, ...this.#counts },
    };
  }

  // ---- time

  #tick(): void {
    const { clock, suspectMs, ttlMs, bus } = this.#options;
    const now = clock.nowMs();
    const stillMs = this.#stillness.sinceLast();
    if (stillMs > suspectMs / 4) this.#members.startClocksAnew(now);
    if (ttlMs !== Infinity && stillMs > suspectMs) this.#slept(stillMs);
    this.#lease.tick(now);
    if (!this.#lease.awake || (bus !== undefined && now >= this.#nextLookMs)) this.#look(now);
    this.#suspect(now);
    if (now >= this.#nextBeatMs) this.#publish(false);
    this.#act();
    if (!this.#stopped) this.#cancelTick = clock.after(tickMs, () => this.#tick());
  }

  #slept(ms: number): void {
    this.#options.log('warn', `stood still for ${Math.round(ms)} ms: this node looks what it still owns`);
    this.#lease.slept();
  }

  /**
   * What the database knows under a newer epoch is not ours any more. After a sleep nothing else may be done before;
   * otherwise now and then, for the new owner may have vanished before it was heard, and then nobody else says so.
   */
  #look(nowMs: number): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#nextLookMs = nowMs + lookMs;
    const { generation } = this.#lease;
    const before = new Map([...this.#mine].map(([shard, { epoch }]) => [shard, epoch]));
    const nobodys = this.#where.nobodys;
    this.#options.fences.epochs().then(
      (epochs) => {
        this.#looking = false;
        for (const [shard, epoch] of nobodys) this.#where.believe(shard, epoch, epochs[shard]!.epoch);
        if (generation !== this.#lease.generation) return;
        const taken = [...before].filter(([shard, epoch]) => epochs[shard]!.epoch > epoch);
        const still = taken.filter(([shard, epoch]) => this.#mine.get(shard)?.epoch === epoch);
        this.#drop(
          still.map(([shard]) => shard),
          'the database knows a newer epoch',
        );
        // If it slept again meanwhile this look is too old.
        if (this.#options.clock.nowMs() - nowMs < this.#options.suspectMs) this.#lease.woken();
      },
      (error: unknown) => {
        this.#looking = false;
        this.#options.log('warn', 'what this node still owns could not be read; it tries again', error);
      },
    );
  }

  // ---- the lease

  #joined(): void {
    const { clock, store, bus, suspectMs, log } = this.#options;
    const now = clock.nowMs();
    log('info', `joined as ${this.#lease.generation}`);
    this.#steadySinceMs = now;
    this.#claimsFromMs = bus === undefined ? now : Infinity;
    // Whoever follows something here was forgotten by others if they gave the last generation up.
    this.#options.workers.moved([...Array(shardCount).keys()]);
    this.#beat();
    this.#act();
    if (bus === undefined) return;
    const { generation } = this.#lease;
    store.members().then(
      (members) => {
        if (generation !== this.#lease.generation) return;
        const at = clock.nowMs();
        // Our own earlier lives are dead: whoever has this node's name and is alive will be heard.
        for (const member of members)
          if (member.node !== this.#options.self.node) this.#members.readOf(member, at);
          else if (member.generation !== generation)
            void store.leave(member.generation).catch(() => undefined);
        this.#claimsFromMs = at + suspectMs / 2;
      },
      (error: unknown) => {
        log('warn', 'the members could not be read; it joins anew', error);
        if (generation === this.#lease.generation) this.#lease.end('the members could not be read');
      },
    );
  }

  #ended(): void {
    this.#counts.steps += 1;
    this.#claimsFromMs = Infinity;
    this.#drop([...this.#mine.keys()], 'the lease has ended');
  }

  // ---- the others

  #heard(beat: Beat): void {
    const { self, clock, twin, log } = this.#options;
    if (this.#stopped || beat.process === self.process) return;
    const now = clock.nowMs();
    if (beat.dead.includes(this.#lease.generation)) this.#lease.end(`${beat.node} gave this node up`);
    if (beat.node === self.node && !beat.gone) {
      if (beat.process < self.process) twin(beat.url);
      return;
    }
    const known = this.#members.has(beat.process);
    const before = this.#members.member(beat.process);
    if (!this.#members.receive(beat, now)) return;
    if (beat.gone) return this.#giveUp(beat.process, 'has left');
    if (!known || before?.draining !== beat.draining) this.#steadySinceMs = now;
    if (!known) {
      log('info', `${beat.node} is here (${beat.process})`);
      this.#beat();
    }
    this.#learn(beat);
    if (this.#members.forgotUs(beat)) this.#options.workers.moved(this.#where.of(beat.process));
  }

  #learn(beat: Beat): void {
    const news = learn(beat, this.#where, (shard) => this.#mine.get(shard)?.epoch);
    for (const shard of news.overtaken) this.#mine.delete(shard);
    this.#dropped(news.overtaken, 'a newer owner has told of itself');
    for (const shard of news.given) this.#claims.given(shard);
    if (news.changed.length > 0) this.#options.workers.moved(news.changed);
    this.#act();
  }

  #suspect(now: number): void {
    const { bus, store, clock, suspectMs } = this.#options;
    if (bus === undefined) return;
    if (!bus.connected) return this.#members.startClocksAnew(now);
    const silent = this.#members.silent(now);
    if (silent.length === 0) return;
    if (!this.#members.isAlone(now)) {
      for (const process of silent) this.#giveUp(process, `was silent, or heard nobody, for ${suspectMs} ms`);
      return;
    }
    // Hearing nobody: is it they or we? A leader read gets through only on the side of the majority.
    if (this.#asking) return;
    this.#asking = true;
    store.members().then(
      () => {
        this.#asking = false;
        const at = clock.nowMs();
        if (!this.#lease.holds(at) || !this.#members.isAlone(at)) return;
        for (const process of this.#members.silent(at)) this.#giveUp(process, 'is silent, and so are all');
      },
      () => {
        this.#asking = false;
      },
    );
  }

  #giveUp(process: ProcessId, why: string): void {
    const { store, log, workers, clock } = this.#options;
    const member = this.#members.giveUp(process);
    if (member === undefined) return;
    this.#counts.gaveUp += 1;
    log('warn', `${process} ${why}`);
    this.#steadySinceMs = clock.nowMs();
    for (const shard of this.#where.of(process)) this.#where.clear(shard, this.#where.place(shard).epoch);
    workers.lost(process);
    if (this.#lease.holds(clock.nowMs())) void store.leave(member.generation).catch(() => undefined);
    this.#beat();
    this.#act();
  }

  // ---- what should be where

  /** Nodes by shard, from those that are alive and stay. */
  #owners(): readonly string[] {
    const { self } = this.#options;
    const live = this.#members.heard.filter((member) => !member.draining);
    const candidates = this.#draining ? live : [...live, self];
    return this.#placement.of(candidates);
  }

  /** Claims and releases what is due. */
  #act(): void {
    const { clock, self } = this.#options;
    const now = clock.nowMs();
    if (!this.#stopped) this.#tellDrained();
    if (this.#stopped || !this.#lease.holds(now)) return;
    const owners = this.#owners();
    if (!this.#draining) this.#claimDue(owners, now);
    const steady = now - this.#steadySinceMs >= steadyMs;
    if (!this.#draining && !steady) return;
    let motion = this.#where.nobodys.size;
    for (const mine of this.#mine.values()) if (mine.phase === 'releasing') motion += 1;
    const max = this.#draining ? drainMotionMax : motionMax;
    for (const [shard, mine] of this.#mine) {
      if (motion >= max) break;
      const owner = owners[shard];
      if (mine.phase !== 'open' || owner === undefined || owner === self.node) continue;
      mine.phase = 'releasing';
      motion += 1;
      this.#options.workers.release(mine.worker, [{ shard, epoch: mine.epoch }]);
    }
  }

  #claimDue(owners: readonly string[], now: number): void {
    const { self } = this.#options;
    if (now < this.#claimsFromMs || this.#readyWorkers.size < self.workers) return;
    const wanted: number[] = [];
    for (let shard = 0; shard < shardCount; shard += 1) {
      if (owners[shard] !== self.node || this.#mine.has(shard)) continue;
      if (this.#where.place(shard).process === undefined && this.#claims.isDue(shard, now))
        wanted.push(shard);
    }
    if (wanted.length === 0) return this.#tellServing();
    this.#claims.claim(wanted, this.#lease.generation);
  }

  /** The claims are ours: the workers take the epochs to the database and begin. */
  #take(won: readonly Term[], generation: Generation): void {
    const { clock, self, workers } = this.#options;
    if (this.#stopped || generation !== this.#lease.generation || !this.#lease.holds(clock.nowMs())) return;
    const batches = new Map<number, Term[]>();
    for (const term of won) {
      // Somebody told of a newer epoch meanwhile.
      if (this.#where.place(term.shard).epoch >= term.epoch || this.#mine.has(term.shard)) continue;
      const worker = leastLoaded(this.#mine.values(), self.workers);
      this.#mine.set(term.shard, { epoch: term.epoch, worker, phase: 'claimed' });
      this.#where.set(term.shard, self.process, worker, term.epoch);
      const batch = batches.get(worker);
      if (batch === undefined) batches.set(worker, [term]);
      else batch.push(term);
    }
    for (const [worker, terms] of batches) workers.open(worker, terms);
    if (batches.size > 0) this.#beat();
  }

  /** Not ours any more, and nobody's as far as is known. */
  #forget(shard: number): void {
    const mine = this.#mine.get(shard);
    if (mine === undefined) return;
    this.#mine.delete(shard);
    this.#where.clear(shard, mine.epoch);
  }

  #drop(shards: readonly number[], why: string): void {
    for (const shard of shards) this.#forget(shard);
    this.#dropped(shards, why);
  }

  #dropped(shards: readonly number[], why: string): void {
    if (shards.length === 0) return;
    const { workers, self, log } = this.#options;
    this.#counts.drops += shards.length;
    log('warn', `${shards.length} shards are given up at once: ${why}`);
    for (let worker = 0; worker < self.workers; worker += 1) workers.drop(worker, shards);
    this.#beat();
  }

  // ---- telling

  #self(generation: Generation): Member {
    return { ...this.#options.self, generation, draining: this.#draining };
  }

  /** At the end of this turn: many shards may change in it. */
  #beat(): void {
    if (this.#beatDue) return;
    this.#beatDue = true;
    this.#options.clock.soon(() => {
      this.#beatDue = false;
      if (!this.#stopped) this.#publish(false);
    });
  }

  #publish(gone: boolean): void {
    const { bus, clock, suspectMs } = this.#options;
    const now = clock.nowMs();
    this.#nextBeatMs = now + suspectMs / 3;
    if (bus?.connected !== true) return;
    this.#seq += 1;
    const owned: number[] = [];
    for (const [shard, { epoch, worker }] of this.#mine) owned.push(shard, epoch, worker);
    bus.publish({
      ...this.#self(this.#lease.generation),
      seq: this.#seq,
      owned,
      hears: this.#members.hears(now),
      dead: this.#members.dead,
      gone,
    });
  }

  #tellServing(): void {
    if (this.#whenServing.length === 0) return;
    const owners = this.#owners();
    for (let shard = 0; shard < shardCount; shard += 1) {
      if (owners[shard] !== this.#options.self.node) continue;
      const { process } = this.#where.place(shard);
      const open = this.#mine.get(shard)?.phase === 'open';
      if (!open && (process === undefined || process === this.#options.self.process)) return;
    }
    for (const resolve of this.#whenServing.splice(0)) resolve();
  }

  #tellDrained(): void {
    if (!this.#draining || this.#whenDrained === undefined) return;
    const nobodyElse = this.#owners().length === 0;
    // The others must have what we gave up before we are gone: what is held here for them goes on first.
    if (nobodyElse || (this.#mine.size === 0 && this.#where.nobodys.size === 0)) this.#whenDrained();
  }
}
