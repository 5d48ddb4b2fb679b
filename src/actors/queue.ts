import { KefuError } from '../core/errors.ts';
import { chooseAgent, isFree, type Candidate } from '../rules/assignment.ts';
import type { Actor, ActorKind, Context, Reply } from './engine/types.ts';
import {
  agentKind,
  queueKind,
  sessionKind,
  type QueueMessage,
  type Reservation,
  type WaitingEntry,
} from './messages.ts';
import type { Directory, Sessions } from './ports.ts';
import { WaitingList, type WaitingItem } from './waiting-list.ts';

/**
 * A group's queue: gives who waits to who is free, as soon as either changes. What it knows is a picture: the agent
 * decides whether it has room (`reserve`), the session whether it still waits (`assign`). Both lists are rebuilt
 * from the tables at the start and compared with them every now and then, so that a lost message heals.
 */
export interface QueueOptions {
  readonly sessions: Sessions;
  readonly directory: Directory;
  readonly mailboxMax: number;
  readonly idleMs: number;
  /** Sessions kept in order; those beyond it stay in the table and come in as room is made. */
  readonly lengthMax: number;
}

/** Positions are told, and unclear tries taken up again, this often. */
const tickMs = 250;
const reconcileMs = 15_000;
/** Positions told a tick: with a hundred thousand waiting, each hears of it in turn. */
const positionsPerTick = 1_000;
/** How many an agent's desk is shown, and how often at most. */
const shownMax = 20;
const shownMs = 1_000;
const reserveMs = 3_000;
const assignMs = 8_000;

export function queueActors(options: QueueOptions): ActorKind<QueueMessage> {
  return {
    ...queueKind,
    mailboxMax: options.mailboxMax,
    idleMs: options.idleMs,
    create: (context) => new QueueActor(options, context),
  };
}

class QueueActor implements Actor<QueueMessage> {
  readonly #options: QueueOptions;
  readonly #context: Context<QueueMessage>;
  readonly #group: string;
  readonly #list: WaitingList;
  readonly #agents = new Map<string, Candidate>();
  readonly #watchers = new Set<string>();
  /** The list changed since positions, or the desks, were told. */
  #positionsDue = false;
  #shownDue = false;
  #shownAtMs = 0;
  #cursor = 0;
  #ticking = false;
  #reconciledAtMs = 0;
  #reconciling = false;
  #servedAtMs = 0;
  /** The usual time between two assignments; what an estimate is made of. */
  #servedEveryMs: number | undefined;

  constructor(options: QueueOptions, context: Context<QueueMessage>) {
    this.#options = options;
    this.#context = context;
    this.#group = context.key;
    this.#list = new WaitingList(options.lengthMax);
  }

  async load(): Promise<void> {
    const now = this.#context.clock.nowMs();
    for (const entry of await this.#options.sessions.waitingIn(this.#group, this.#options.lengthMax))
      this.#list.put(entry, now);
    for (const agent of await this.#options.directory.agentsIn(this.#group))
      this.#context.system.ref(agentKind, agent).tell({ type: 'report', group: this.#group });
    this.#reconciledAtMs = now;
    this.#changed();
  }

  mayPassivate(): boolean {
    return this.#list.items.length === 0 && this.#watchers.size === 0;
  }

  describe(): unknown {
    return { waiting: this.#list.items.length, agents: this.#agents.size };
  }

  receive(message: QueueMessage, reply: Reply | undefined): void {
    switch (message.type) {
      case 'enqueue':
        return this.#enqueue(message.entry);
      case 'dequeue':
        return this.#dequeue(message.session, message.served);
      case 'agent':
        return this.#agentReported(message.status);
      case 'watch':
        return this.#watch(message.agent, message.on);
      case 'where': {
        const item = this.#list.get(message.session);
        if (item !== undefined) this.#tellPosition(item, this.#list.place(item.entry) + 1);
        return;
      }
      case 'peek':
        reply?.ok({ count: this.#list.items.length, sessions: this.#shown(message.limit) });
        return;
      case 'settled':
        return this.#settled(message);
      case 'tick':
        return this.#tick();
      case 'reconciled':
        return this.#reconciled(message.entries, message.startedAt);
    }
  }

  #enqueue(entry: WaitingEntry): void {
    const item = this.#list.put(entry, this.#context.clock.nowMs());
    if (item === undefined) return;
    this.#tellPosition(item, this.#list.place(entry) + 1);
    this.#changed();
    const target = entry.target === null ? undefined : this.#agents.get(entry.target);
    if (target !== undefined && !target.online) this.#retarget(entry.session);
    this.#dispatch();
  }

  #dequeue(session: string, served: boolean): void {
    if (served) this.#countServed();
    if (this.#list.remove(session) === undefined) return;
    this.#changed();
  }

  #agentReported(status: Candidate): void {
    this.#agents.set(status.id, status);
    // A queue that has nobody in its list does not tick: somebody's arrival may have been lost.
    const now = this.#context.clock.nowMs();
    if (now - this.#reconciledAtMs >= reconcileMs) this.#reconcile(now);
    if (isFree(status)) return this.#dispatch();
    if (status.online) return;
    for (const { entry } of this.#list.items) if (entry.target === status.id) this.#retarget(entry.session);
  }

  #retarget(session: string): void {
    this.#context.system.ref(sessionKind, session).tell({ type: 'retarget' });
  }

  // ---- giving sessions to agents

  #dispatch(): void {
    let free = 0;
    for (const agent of this.#agents.values()) if (isFree(agent)) free += agent.capacity - agent.open;
    if (free === 0) return;
    for (const item of this.#list.items) {
      if (free === 0) return;
      if (item.agent !== undefined || item.resting) continue;
      const agent = chooseAgent(item.entry, this.#agents.values());
      if (agent === undefined) continue;
      free -= 1;
      item.agent = agent.id;
      this.#agents.set(agent.id, { ...agent, open: agent.open + 1, idleSince: this.#context.clock.wallMs() });
      this.#give(item.entry.session, agent.id);
    }
  }

  /** Reserve, then assign. How it ended comes back as `settled`, so that this actor goes on meanwhile. */
  #give(session: string, agent: string): void {
    const { system } = this.#context;
    const settle = (
      outcome: Extract<QueueMessage, { type: 'settled' }>['outcome'],
      status?: Candidate,
    ): void => {
      const settled = { type: 'settled', session, agent, outcome } as const;
      system.notify(queueKind, this.#group, status === undefined ? settled : { ...settled, status });
    };
    const give = async (): Promise<void> => {
      const agentRef = system.ref(agentKind, agent);
      const reservation = await agentRef.ask<Reservation>({ type: 'reserve', session }, reserveMs);
      if (!reservation.granted) return settle('declined', reservation.status);
      try {
        await system.ref(sessionKind, session).ask({ type: 'assign', agent: reservation.agent }, assignMs);
        settle('assigned');
      } catch (error) {
        const unclear =
          !(error instanceof KefuError) || error.code === 'unavailable' || error.code === 'internal';
        // A refusal changed nothing, so the slot is free again; what is unclear the agent finds out by itself.
        if (!unclear) agentRef.tell({ type: 'unreserve', session });
        const over =
          error instanceof KefuError && (error.code === 'invalid_transition' || error.code === 'not_found');
        settle(over ? 'refused' : 'unknown');
      }
    };
    give().catch(() => settle('unknown'));
  }

  #settled(message: Extract<QueueMessage, { type: 'settled' }>): void {
    const item = this.#list.get(message.session);
    const mine = item !== undefined && item.agent === message.agent;
    if (mine) item.agent = undefined;
    if (message.status !== undefined) this.#agents.set(message.agent, message.status);
    // Also after a status: it may have been overtaken by a report that was sent later.
    if (message.outcome !== 'assigned')
      this.#context.system.ref(agentKind, message.agent).tell({ type: 'report', group: this.#group });
    // It has room and still says no: asked again at once it would only say so again.
    const rests = message.outcome === 'unknown' || (message.status !== undefined && isFree(message.status));
    if (message.outcome === 'assigned' || message.outcome === 'refused') {
      if (mine && this.#list.remove(message.session) !== undefined) this.#changed();
    } else if (mine && rests) {
      item.resting = true;
      this.#changed();
    }
    this.#dispatch();
  }

  // ---- telling who waits

  #changed(): void {
    this.#positionsDue = true;
    this.#shownDue = true;
    this.#startTicking();
  }

  #startTicking(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    this.#context.startTimer('tick', tickMs, { type: 'tick' });
  }

  #tick(): void {
    this.#ticking = false;
    const now = this.#context.clock.nowMs();
    if (this.#positionsDue) this.#tellPositions();
    if (this.#shownDue && now - this.#shownAtMs >= shownMs) this.#show(now);
    for (const item of this.#list.items) item.resting = false;
    if (now - this.#reconciledAtMs >= reconcileMs) this.#reconcile(now);
    this.#dispatch();
    const busy = this.#positionsDue || this.#shownDue;
    if (busy || this.#list.items.length > 0 || this.#watchers.size > 0) {
      this.#ticking = true;
      this.#context.startTimer('tick', busy ? tickMs : shownMs, { type: 'tick' });
    }
  }

  /** Tells those whose position changed, a slice a tick, going round. */
  #tellPositions(): void {
    const { items } = this.#list;
    let left = positionsPerTick;
    let seen = 0;
    for (; seen < items.length && left > 0; seen += 1) {
      const index = (this.#cursor + seen) % items.length;
      const item = items[index]!;
      if (item.told === index + 1) continue;
      this.#tellPosition(item, index + 1);
      left -= 1;
    }
    this.#cursor = items.length === 0 ? 0 : (this.#cursor + seen) % items.length;
    this.#positionsDue = seen < items.length;
    if (!this.#positionsDue) this.#cursor = 0;
  }

  #tellPosition(item: WaitingItem, position: number): void {
    item.told = position;
    const etaMs = this.#servedEveryMs === undefined ? null : Math.round(this.#servedEveryMs * position);
    this.#context.system
      .ref(sessionKind, item.entry.session)
      .tell({ type: 'position', position, ahead: position - 1, etaMs });
  }

  #countServed(): void {
    const now = this.#context.clock.nowMs();
    const every = now - this.#servedAtMs;
    if (this.#servedAtMs > 0)
      this.#servedEveryMs =
        this.#servedEveryMs === undefined ? every : this.#servedEveryMs * 0.8 + every * 0.2;
    this.#servedAtMs = now;
  }

  #watch(agent: string, on: boolean): void {
    if (!on) {
      this.#watchers.delete(agent);
      return;
    }
    if (this.#watchers.has(agent)) return;
    this.#watchers.add(agent);
    this.#context.system.ref(agentKind, agent).tell({ type: 'waiting', frame: this.#frame() });
    this.#startTicking();
  }

  #show(now: number): void {
    this.#shownDue = false;
    this.#shownAtMs = now;
    const frame = this.#frame();
    for (const agent of this.#watchers)
      this.#context.system.ref(agentKind, agent).tell({ type: 'waiting', frame });
  }

  #frame(): object {
    const count = this.#list.items.length;
    return { t: 'waiting', group: this.#group, count, sessions: this.#shown(shownMax) };
  }

  #shown(limit: number): object[] {
    return this.#list.items.slice(0, limit).map(({ entry: { view } }) => ({
      id: view.id,
      customer: view.customer,
      subject: view.subject,
      since: new Date(view.since).toISOString(),
      state: view.state,
    }));
  }

  // ---- healing

  #reconcile(now: number): void {
    this.#reconciledAtMs = now;
    if (this.#reconciling) return;
    this.#reconciling = true;
    const group = this.#group;
    const { system } = this.#context;
    const { sessions, directory, lengthMax } = this.#options;
    // Everybody: one whose report was lost is believed to be offline, and would never say anything by itself.
    void Promise.all([sessions.waitingIn(group, lengthMax), directory.agentsIn(group)]).then(
      ([entries, agents]) => {
        for (const agent of agents) system.ref(agentKind, agent).tell({ type: 'report', group });
        system.notify(queueKind, group, { type: 'reconciled', entries, startedAt: now });
      },
      () => {
        this.#reconciling = false;
      },
    );
  }

  #reconciled(entries: readonly WaitingEntry[], startedAt: number): void {
    this.#reconciling = false;
    const now = this.#context.clock.nowMs();
    const stored = new Set<string>();
    for (const entry of entries) {
      stored.add(entry.session);
      const known = this.#list.get(entry.session);
      // What came meanwhile is newer than what was read; what was there before may have missed a change.
      const isNews = known === undefined || (known.addedMs < startedAt && !isSamePlace(known.entry, entry));
      if (isNews && this.#list.put(entry, now) !== undefined) this.#changed();
      if (entry.target !== null && this.#agents.get(entry.target)?.online !== true)
        this.#retarget(entry.session);
    }
    if (entries.length < this.#options.lengthMax) {
      const stale = this.#list.items.filter(
        (item) => item.addedMs < startedAt && item.agent === undefined && !stored.has(item.entry.session),
      );
      for (const item of stale) this.#list.remove(item.entry.session);
      if (stale.length > 0) this.#changed();
    }
    this.#dispatch();
  }
}

function isSamePlace(a: WaitingEntry, b: WaitingEntry): boolean {
  return a.target === b.target && a.priority === b.priority && a.since === b.since;
}
