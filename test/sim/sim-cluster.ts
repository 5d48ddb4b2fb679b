import { IdSource, shardCount } from '../../src/core/ids.ts';
import { SimChance } from './chance.ts';
import { AgentClient } from './agent-client.ts';
import { CustomerClient, type HistoryEntry, type Outside } from './clients.ts';
import type { Fault } from './faults.ts';
import { faultText } from './faults.ts';
import { Ledger } from './ledger.ts';
import { SimNetwork } from './network.ts';
import type { Hooks, Settings } from './settings.ts';
import { SimDatabase } from './sim-database.ts';
import { SimLeases } from './sim-lease-store.ts';
import { SimNode, type World } from './sim-node.ts';
import { SimTime } from './time.ts';
import { Trace } from './trace.ts';
import { WatcherClient } from './watchers.ts';

export interface ClusterOptions {
  readonly seed: number;
  readonly settings: Settings;
  readonly hooks: Hooks;
  readonly verbose: boolean;
}

/** A whole cluster with its people, in one process on one virtual time. */
export class SimCluster {
  readonly time = new SimTime();
  readonly trace: Trace;
  readonly ledger: Ledger;
  readonly database: SimDatabase;
  readonly network: SimNetwork;
  readonly history: HistoryEntry[] = [];
  readonly customers: CustomerClient[] = [];
  readonly agents: AgentClient[] = [];
  readonly watchers: WatcherClient[] = [];
  readonly #settings: Settings;
  readonly #chance: SimChance;
  readonly #leases: SimLeases;
  readonly #world: World;
  readonly #nodes: SimNode[] = [];
  readonly #databaseCuts = new Map<string, number>();
  #starts = 0;
  #numbers = 0;
  /** Those that were put out of action and have not come back. */
  readonly #ending = new Set<() => void>();

  constructor({ seed, settings, hooks, verbose }: ClusterOptions) {
    this.#settings = settings;
    this.#chance = new SimChance(seed);
    this.trace = new Trace(() => this.time.sinceMs, verbose);
    this.database = new SimDatabase(this.time, this.#chance.fork(), settings.database);
    this.network = new SimNetwork(this.time, this.#chance.fork(), settings.network);
    this.#leases = new SimLeases(this.time, this.#chance.fork(), settings.leases);
    this.ledger = new Ledger(this.database, this.trace, () => this.time.sinceMs, settings.capacity);
    this.#world = {
      time: this.time,
      chance: this.#chance.fork(),
      network: this.network,
      leases: this.#leases,
      database: this.database,
      settings,
      hooks,
      databaseCutMs: (node) => Math.max(0, (this.#databaseCuts.get(node) ?? 0) - this.time.nowMs()),
      log: (who, text) => this.trace.add(who, text),
      crashed: (error, what) =>
        this.ledger.fail(
          `crash of ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        ),
      opened: (thread, term) => this.ledger.opened(thread, term),
    };
    for (let index = 0; index < settings.nodes; index += 1) this.#boot(index);
    this.#people();
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes;
  }

  #boot(index: number): void {
    this.#starts += 1;
    const node = new SimNode(this.#world, `n${index}`, this.#starts);
    this.trace.add(node.process, 'starts');
    this.#nodes[index] = node;
  }

  #people(): void {
    const { settings, chance } = this.#world;
    const ids = new IdSource(this.time, chance.fork());
    this.database.groups.add('support');
    const agents = Array.from({ length: settings.agents }, () => ids.next());
    for (const id of agents)
      this.database.agents.set(id, {
        id,
        email: `${id}@kefu`,
        name: 'A',
        kind: 'agent',
        role: 'agent',
        groups: 'support',
        capacity: settings.capacity,
        presence: 'offline',
        password: '',
      });
    const outside: Outside = {
      time: this.time,
      chance: chance.fork(),
      ledger: this.ledger,
      trace: this.trace,
      paceMs: settings.paceMs,
      nodes: () => this.#nodes,
      next: () => (this.#numbers += 1),
      record: (entry) => this.history.push(entry),
    };
    for (const id of agents) this.agents.push(new AgentClient(outside, id, agents));
    for (let count = 0; count < settings.customers; count += 1)
      this.customers.push(new CustomerClient(outside, ids.next()));
    for (const customer of this.customers.slice(0, settings.watchers))
      this.watchers.push(new WatcherClient(outside, customer));
  }

  /** The people come; what was started has had time to take its shards. */
  begin(): void {
    for (const client of [...this.agents, ...this.customers, ...this.watchers]) client.start();
  }

  inject(fault: Fault): void {
    const { forMs } = fault;
    const node = this.#nodes[fault.node % this.#nodes.length]!;
    const other = this.#nodes[fault.other % this.#nodes.length]!;
    this.trace.add('FAULT', faultText(fault));
    switch (fault.kind) {
      case 'crash':
        return this.#crash(node, forMs);
      case 'leave':
        return this.#leave(node, forMs);
      case 'threadCrash':
        if (node.responds) node.crashThread(fault.other % this.#settings.workers);
        return;
      case 'sleep':
      case 'suspend':
        return this.#sleep(node, forMs, fault.kind === 'suspend');
      case 'hang': {
        const thread = fault.other % (this.#settings.workers + 1);
        const clock = thread === 0 ? node.main : node.threads[thread - 1]!.clock;
        clock.hang();
        return this.#after(forMs, () => clock.unhang());
      }
      case 'wallJump':
        node.machine.wallOffsetMs += fault.other % 2 === 0 ? forMs : -forMs;
        return;
      case 'cut':
        return this.#cut([[node, other]], forMs);
      case 'island': {
        const others = this.#nodes.filter((it) => it !== node);
        const pairs: [SimNode, SimNode][] = [];
        for (const it of others) pairs.push([node, it], [it, node]);
        return this.#cut(pairs, forMs);
      }
      case 'disconnect':
        this.network.disconnect(node.node);
        return this.#after(forMs, () => this.network.reconnect(node.node));
      case 'clog':
        this.network.clog(node.node, Math.min(2_000, forMs));
        return this.#after(forMs, () => this.network.clog(node.node, 0));
      case 'wipe':
        return this.#leases.wipe();
      case 'noLeader':
        return this.#leases.loseLeader(forMs);
      case 'databaseCrash':
        return this.database.crash(forMs);
      case 'databaseHang':
        return this.database.hang(forMs);
      case 'databaseCut':
        this.#databaseCuts.set(node.node, this.time.nowMs() + forMs);
        return;
      case 'databaseHalfOpen':
        for (const connection of this.database.connections)
          if (connection.node === node.node) connection.silence();
        return;
    }
  }

  /** Undone after `ms`, or when everything is healed. */
  #after(ms: number, undo: () => void): void {
    const once = (): void => {
      if (this.#ending.delete(once)) undo();
    };
    this.#ending.add(once);
    this.time.after(ms, once);
  }

  #crash(node: SimNode, forMs: number): void {
    if (!node.alive) return;
    node.crash();
    const index = this.#nodes.indexOf(node);
    this.#after(Math.max(1, forMs), () => this.#boot(index));
  }

  #leave(node: SimNode, forMs: number): void {
    if (!node.responds) return;
    const end = (): void => this.#crash(node, forMs);
    // Who runs it loses patience.
    this.#after(10_000, end);
    node.main.run(
      () =>
        void node.cluster
          .drain(4_000)
          .then(() => node.cluster.stop())
          .then(end),
    );
  }

  #sleep(node: SimNode, forMs: number, suspended: boolean): void {
    if (!node.responds) return;
    node.machine.sleep();
    this.#after(forMs, () => node.machine.wake(suspended));
  }

  #cut(pairs: readonly (readonly [SimNode, SimNode])[], forMs: number): void {
    for (const [from, to] of pairs) if (from !== to) this.network.cut(from.node, to.node);
    this.#after(forMs, () => {
      for (const [from, to] of pairs) this.network.mend(from.node, to.node);
    });
  }

  /** No more faults: everything that is down comes back. */
  heal(): void {
    this.trace.add('FAULT', 'no more of them');
    this.network.heal();
    this.#leases.heal();
    this.database.heal();
    this.#databaseCuts.clear();
    // Each takes itself out; none that comes to it meanwhile belongs to it.
    const ending = Array.from(this.#ending);
    for (const undo of ending) undo();
    for (const client of [...this.agents, ...this.customers, ...this.watchers]) client.finishing = true;
  }

  // ---- whether all is well

  /** What is still to come right. */
  troubles(): string[] {
    return [...this.#ownerTroubles(), ...this.#peopleTroubles()];
  }

  #ownerTroubles(): string[] {
    const troubles: string[] = [];
    const owners = Array.from({ length: shardCount }, (): string[] => []);
    for (const node of this.#nodes)
      for (const thread of node.threads)
        for (const shard of thread.keeper.shards)
          if (thread.router.phaseOf(shard) === 'open') {
            owners[shard]!.push(`${thread.id} in term ${thread.keeper.epochOf(shard)}`);
            const { owner, writer } = this.database.shards[shard]!;
            if (owner === node.process && writer !== thread.writer)
              troubles.push(`shard ${shard} is written by an older connection of ${thread.id}`);
          }
    for (const [shard, open] of owners.entries()) {
      const { epoch, owner } = this.database.shards[shard]!;
      const isRight = open.length === 1 && open[0]!.startsWith(owner) && open[0]!.endsWith(` ${epoch}`);
      if (!isRight)
        troubles.push(`shard ${shard} is open at [${open.join()}], by the database ${owner} in ${epoch}`);
    }
    return troubles;
  }

  #peopleTroubles(): string[] {
    const troubles: string[] = [];
    for (const customer of this.customers)
      if (!customer.settled) troubles.push(`${customer.who.id} still waits for an ack`);
    for (const { settled, session = '', lastSeq } of this.watchers) {
      const last = this.ledger.states.get(session)?.lastSeq ?? 0;
      if (!settled) troubles.push(`a device in ${session} still waits for an ack`);
      if (lastSeq < last) troubles.push(`a device has ${session} up to ${lastSeq} of ${last}`);
    }
    const states = [...this.ledger.states.values()];
    const waiting = states.filter(({ state }) => state === 'waiting' || state === 'transferring');
    for (const agent of this.agents)
      if (!agent.isReady) troubles.push(`agent ${agent.who.id} is not connected`);
    for (const { who, told } of this.agents) {
      const { id } = who;
      const has = states.filter((it) => it.state === 'chatting' && it.agent?.id === id).map((it) => it.id);
      const held = has.length;
      if (has.sort().join() !== [...told].sort().join())
        troubles.push(`agent ${id} was told of ${[...told].join()} and has ${has.join()}`);
      const fit = waiting.find((it) => it.target === null || it.target === id);
      if (fit !== undefined && held < this.#settings.capacity)
        troubles.push(
          `${fit.id} waits (${fit.state}, target ${fit.target}) though agent ${id} has room: ${held}`,
        );
    }
    return troubles;
  }
}
