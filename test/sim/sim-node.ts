import type { Envelope, ThreadId } from '../../src/actors/engine/types.ts';
import { ClusterNode } from '../../src/cluster/cluster-node.ts';
import type { ProcessId, Term, Workers } from '../../src/cluster/ports.ts';
import type { Port } from '../../src/cluster/router.ts';
import { ShardMap } from '../../src/cluster/shard-map.ts';
import { Reader } from '../../src/store/database.ts';
import { readEpochs } from '../../src/store/shards.ts';
import type { SimChance } from './chance.ts';
import type { SimNetwork } from './network.ts';
import type { Hooks, Settings } from './settings.ts';
import type { SimDatabase } from './sim-database.ts';
import type { SimLeases } from './sim-lease-store.ts';
import { simSql } from './sim-sql.ts';
import { SimThread, type FromThread } from './sim-thread.ts';
import { trueRules } from './statements.ts';
import { Machine, type SimTime, type ThreadClock } from './time.ts';

/** What all processes of a run share, and what they tell. */
export interface World {
  readonly time: SimTime;
  readonly chance: SimChance;
  readonly network: SimNetwork;
  readonly leases: SimLeases;
  readonly database: SimDatabase;
  readonly settings: Settings;
  readonly hooks: Hooks;
  readonly databaseCutMs: (node: string) => number;
  readonly log: (who: string, text: string) => void;
  readonly crashed: (error: unknown, what: string) => void;
  readonly opened: (thread: ThreadId, term: Term) => void;
}

/** A reliable way between two threads of one process: in order, soon. */
class Channel {
  readonly #time: SimTime;
  readonly #chance: SimChance;
  #lastMs = 0;

  constructor(time: SimTime, chance: SimChance) {
    this.#time = time;
    this.#chance = chance;
  }

  send(clock: ThreadClock, work: () => void): void {
    const now = this.#time.nowMs();
    this.#lastMs = Math.max(this.#lastMs, now + this.#chance.between(0.02, 0.2));
    this.#time.after(this.#lastMs - now, () => clock.run(work));
  }
}

interface Slot {
  thread: SimThread;
  readonly channel: Channel;
  life: number;
}

/** A process: its main thread, as src/node.ts and src/supervisor.ts put it together, and its worker threads. */
export class SimNode {
  readonly node: string;
  readonly process: ProcessId;
  readonly machine: Machine;
  readonly main: ThreadClock;
  readonly cluster: ClusterNode;
  readonly #world: World;
  readonly #chance: SimChance;
  readonly #shards = new ShardMap();
  readonly #slots: Slot[] = [];
  readonly #channelToMain: Channel;
  #known: readonly ThreadId[] = [];
  #moved = new Set<number>();
  readonly #ready = new Set<number>();
  #started = false;

  constructor(world: World, node: string, start: number) {
    const { time, settings, network, leases, database, hooks } = world;
    this.#world = world;
    this.#chance = world.chance.fork();
    this.node = node;
    this.process = `${node}~${String(start).padStart(4, '0')}`;
    this.machine = new Machine(time, this.#chance.between(-3_000, 3_000));
    this.main = this.machine.thread();
    this.#channelToMain = new Channel(time, this.#chance);
    const reader = new Reader(
      simSql(
        {
          node,
          database,
          clock: this.main,
          cutForMs: () => world.databaseCutMs(node),
          rules: { ...trueRules, ...hooks.rules },
        },
        false,
      ),
      this.main,
      3_000,
    );
    const options = {
      clock: this.main,
      chance: this.#chance.fork(),
      store: leases.store(this.main, () => network.isConnected(node)),
      bus: network.bus(this.process, node, this.main),
      fences: { epochs: () => readEpochs(reader) },
      workers: this.#workers(),
      shards: this.#shards,
      self: {
        node,
        process: this.process,
        workers: settings.workers,
        url: `http://${node}`,
        version: '0',
      },
      suspectMs: settings.suspectMs,
      ttlMs: settings.ttlMs,
      log: (_level: string, text: string) => world.log(this.process, text),
      twin: () => world.log(this.process, 'has a twin'),
    };
    this.cluster = new ClusterNode(hooks.cluster?.(options) ?? options);
    for (let index = 0; index < settings.workers; index += 1) this.#spawn(index, 0);
    for (let a = 0; a < settings.workers; a += 1)
      for (let b = a + 1; b < settings.workers; b += 1) this.#link(a, b);
  }

  get threads(): readonly SimThread[] {
    return this.#slots.map((slot) => slot.thread);
  }

  get alive(): boolean {
    return this.machine.alive;
  }

  /** Answers people: alive, and not asleep. */
  get responds(): boolean {
    return this.machine.alive && !this.machine.asleep;
  }

  crash(): void {
    this.machine.crash();
    this.#world.network.leave(this.process);
    for (const { thread } of this.#slots) this.#world.network.leaveThread(thread.id);
  }

  /** A worker thread dies; the supervisor replaces it. */
  crashThread(index: number): void {
    const dead = this.#slots[index]!;
    dead.thread.clock.end();
    this.#world.network.leaveThread(dead.thread.id);
    this.main.after(this.#chance.between(1, 20), () => {
      this.#ready.delete(index);
      this.cluster.workerLost(index);
      for (const [other, { thread }] of this.#slots.entries())
        if (other !== index) this.#tell(other, () => thread.lost([dead.thread.id]));
      this.#spawn(index, dead.life + 1);
      for (let other = 0; other < this.#slots.length; other += 1)
        if (other !== index) this.#link(index, other);
    });
  }

  #id(index: number): ThreadId {
    return `${this.process}/${index}`;
  }

  #spawn(index: number, life: number): void {
    const { settings, hooks, database, network, databaseCutMs, log, crashed } = this.#world;
    const id = this.#id(index);
    const clock = this.machine.thread();
    const thread = new SimThread({
      id,
      process: this.process,
      node: this.node,
      clock,
      chance: this.#chance.fork(),
      shards: new ShardMap(this.#shards.buffer),
      settings,
      hooks,
      database,
      databaseCutMs: () => databaseCutMs(this.node),
      network,
      known: this.#known,
      siblings: Array.from({ length: settings.workers }, (_, other) => this.#id(other)),
      toMain: (message) => this.#channelToMain.send(this.main, () => this.#heard(index, life, message)),
      log: (text) => log(id, text),
      crashed,
    });
    this.#slots[index] = { thread, channel: new Channel(this.#world.time, this.#chance), life };
  }

  #heard(index: number, life: number, message: FromThread): void {
    if (this.#slots[index]!.life !== life) return;
    switch (message.type) {
      case 'ready':
        return this.#threadReady(index);
      case 'opened':
        if (message.taken) this.#world.opened(this.#id(index), message.term);
        return this.cluster.opened(message.term, message.taken);
      case 'released':
        return this.cluster.released(message.term);
      case 'fenced':
        return this.cluster.fenced(message.term);
    }
  }

  /** At the start the cluster begins when all are ready. */
  #threadReady(index: number): void {
    if (this.#started) return this.cluster.workerReady(index);
    this.#ready.add(index);
    if (this.#ready.size < this.#world.settings.workers) return;
    this.#started = true;
    this.cluster.start();
    for (let worker = 0; worker < this.#slots.length; worker += 1) this.cluster.workerReady(worker);
  }

  #tell(index: number, work: () => void): void {
    const { channel, thread } = this.#slots[index]!;
    channel.send(thread.clock, work);
  }

  #workers(): Workers {
    const each = (work: (thread: SimThread) => void): void => {
      for (const [index, { thread }] of this.#slots.entries()) this.#tell(index, () => work(thread));
    };
    const one = (index: number, work: (thread: SimThread) => void): void => {
      const { thread } = this.#slots[index]!;
      this.#tell(index, () => work(thread));
    };
    return {
      open: (worker, terms) => one(worker, (thread) => void thread.keeper.open(terms)),
      release: (worker, terms) => one(worker, (thread) => void thread.keeper.release(terms)),
      drop: (worker, shards) => one(worker, (thread) => thread.keeper.drop(shards)),
      moved: (shards) => {
        if (this.#moved.size === 0)
          this.main.soon(() => {
            const moved = [...this.#moved];
            this.#moved.clear();
            each((thread) => thread.moved(moved));
          });
        for (const shard of shards) this.#moved.add(shard);
      },
      threads: (all) => {
        this.#known = all;
        each((thread) => thread.router.setThreads(all));
      },
      lost: (process) => {
        const threads = this.#known.filter((thread) => thread.startsWith(`${process}/`));
        each((thread) => thread.lost(threads));
      },
    };
  }

  #link(a: number, b: number): void {
    const [first, second] = [this.#slots[a]!.thread, this.#slots[b]!.thread];
    const toSecond = new SharedArrayBuffer(8);
    const toFirst = new SharedArrayBuffer(8);
    const portTo = (from: SimThread, to: SimThread, counts: SharedArrayBuffer): Port => {
      const channel = new Channel(this.#world.time, this.#chance);
      const handled = new Int32Array(counts);
      return {
        postMessage: (envelopes: readonly Envelope[]) =>
          channel.send(to.clock, () => {
            to.router.receive(envelopes, from.id);
            Atomics.add(handled, 1, envelopes.length);
          }),
        close: () => undefined,
      };
    };
    this.#tell(a, () => first.router.connect(second.id, portTo(first, second, toSecond), toSecond));
    this.#tell(b, () => second.router.connect(first.id, portTo(second, first, toFirst), toFirst));
  }
}
