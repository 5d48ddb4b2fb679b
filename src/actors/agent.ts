import { KefuError, refusal, toRefusal } from '../core/errors.ts';
import type { Candidate } from '../rules/assignment.ts';
import type { Actor, ActorKind, Context, Reply } from './engine/types.ts';
import {
  agentKind,
  gatewayKind,
  queueKind,
  sessionKind,
  type AgentMessage,
  type AgentProfile,
  type AgentStatus,
  type Connected,
  type Fence,
  type GatewayMessage,
  type Holder,
  type Peer,
  type Presence,
  type Reservation,
  type Sighting,
} from './messages.ts';
import type { Directory, Journal, Sessions } from './ports.ts';

/**
 * An agent: its presence, its connections and its capacity, which nobody else decides. A queue reserves a slot here
 * and then asks the session to take the assignment, which asks here whether the promise still stands; the session's
 * commit carries the epoch under which it was given, so a promise dies with its owner. A reservation that nothing
 * came of is looked up at the session before it is given back: a timeout is an unknown outcome. No clocks of
 * different machines are compared.
 *
 * All of this can be rebuilt: what it holds from the sessions table, who is connected from the gateways.
 */
export interface AgentOptions {
  readonly journal: Journal;
  readonly sessions: Sessions;
  readonly directory: Directory;
  readonly mailboxMax: number;
  readonly idleMs: number;
  readonly graceMs: number;
  /** What becomes of the sessions of an agent that is away by losing its connection. */
  readonly onAway: 'queue' | 'wait';
  /** How long a reservation may be used. */
  readonly reserveMs: number;
  readonly connectionsMax: number;
}

/** How often what it holds is compared with the tables, against lost messages. */
const reconcileMs = 30_000;
const askMs = 3_000;

export function agentActors(options: AgentOptions): ActorKind<AgentMessage> {
  return {
    ...agentKind,
    mailboxMax: options.mailboxMax,
    idleMs: options.idleMs,
    create: (context) => new AgentActor(options, context),
  };
}

interface Slot {
  /** When it lapses, on the monotonic clock. */
  readonly deadlineMs: number;
}

class AgentActor implements Actor<AgentMessage> {
  readonly #options: AgentOptions;
  readonly #context: Context<AgentMessage>;
  readonly #id: string;
  #fence!: Fence;
  #profile: AgentProfile | undefined;
  /** Oldest first. */
  #peers: Peer[] = [];
  /** Session → the seq of its event that made it ours, or a later one; undefined when only the tables said so. */
  readonly #held = new Map<string, number | undefined>();
  /** Sessions that connections were told are this agent's, by an earlier instance; until they are looked up. */
  readonly #doubted = new Set<string>();
  /** By session. Each promise makes a new one, so that what was looked up of an older one is not taken for it. */
  readonly #reserved = new Map<string, Slot>();
  #presence: Presence = 'offline';
  /** Its last connection has been lost for longer than the grace time. */
  #gone = false;
  #idleSince: number;
  /** No slot is promised before: those promised by an instance that crashed have lapsed by then. */
  #grantsFromMs = 0;
  #reconciling = false;
  #reconcileAgain = false;
  #reconciledAtMs: number;

  constructor(options: AgentOptions, context: Context<AgentMessage>) {
    this.#options = options;
    this.#context = context;
    this.#id = context.key;
    this.#idleSince = context.clock.wallMs();
    this.#reconciledAtMs = context.clock.nowMs();
    if (context.restarted) this.#grantsFromMs = context.clock.nowMs() + options.reserveMs;
  }

  async load(): Promise<void> {
    this.#fence = this.#options.journal.fenceOf(this.#id);
    this.#profile = await this.#options.directory.agent(this.#id);
    if (this.#profile === undefined) return;
    for (const session of await this.#options.sessions.heldBy(this.#id)) this.#held.set(session, undefined);
    this.#presence = this.#profile.presence;
    this.#context.startTimer('grace', this.#options.graceMs, { type: 'graceOver' });
  }

  mayPassivate(): boolean {
    return (
      this.#peers.length === 0 && this.#reserved.size === 0 && (this.#gone || this.#profile === undefined)
    );
  }

  describe(): unknown {
    return {
      presence: this.#presence,
      connections: this.#peers.length,
      held: this.#held.size,
      reserved: this.#reserved.size,
    };
  }

  receive(message: AgentMessage, reply: Reply | undefined): void | Promise<void> {
    if (this.#profile === undefined) {
      reply?.fail(refusal('not_found', 'there is no such agent'));
      this.#context.stop();
      return;
    }
    switch (message.type) {
      case 'connect':
        this.#connect(message.peer);
        reply?.ok(this.#connected());
        this.#doubt(message.held ?? []);
        return;
      case 'disconnect':
        return this.#disconnect(
          ({ thread, conn }) => thread === message.peer.thread && conn === message.peer.conn,
        );
      case 'threadLost':
        return this.#disconnect((peer) => peer.thread === message.thread);
      case 'presence':
        return this.#setPresence(message.state, reply);
      case 'reserve':
        reply?.ok(this.#reserve(message.session));
        return;
      case 'promise':
        return this.#promise(message.session, reply);
      case 'unreserve': {
        // The session refused; perhaps because it is this agent's already.
        const slot = this.#reserved.get(message.session);
        if (slot !== undefined) this.#look(message.session, slot);
        return;
      }
      case 'lapsed':
        return this.#lapse(message.session, message.slot);
      case 'held':
        return this.#hold(message.session, message.seq);
      case 'gone':
        return this.#letGo(message.session, message.reason, message.seq);
      case 'report':
        this.#tellQueue(message.group);
        return;
      case 'status':
        reply?.ok(this.#status());
        return;
      case 'waiting':
        return this.#tellPeers((conns) => ({ type: 'frame', conns, frame: message.frame }));
      case 'graceOver':
        return this.#graceOver();
      case 'checkReservations':
        return this.#checkReservations();
      case 'reconcile':
        return this.#reconcile();
      case 'found':
        for (const { session, seq } of message.lost)
          if ((this.#held.get(session) ?? 0) <= seq) this.#release(session, 'moved', seq);
        for (const { session, seq } of message.held) this.#hold(session, seq);
        return;
    }
  }

  // ---- connections and presence

  #connect(peer: Peer): void {
    const first = this.#peers.length === 0;
    const isKnown = this.#peers.some(({ thread, conn }) => thread === peer.thread && conn === peer.conn);
    if (!isKnown) this.#peers.push(peer);
    this.#context.cancelTimer('grace');
    this.#gone = false;
    if (this.#peers.length > this.#options.connectionsMax) {
      const oldest = this.#peers.shift()!;
      this.#context.system.ref(gatewayKind, oldest.thread).tell({ type: 'supersede', conn: oldest.conn });
    }
    if (!first) return;
    this.#watchQueues(true);
    this.#report();
    // One who comes and goes is compared as often as one who stays.
    const sinceMs = this.#context.clock.nowMs() - this.#reconciledAtMs;
    this.#context.startTimer('reconcile', Math.max(0, reconcileMs - sinceMs), { type: 'reconcile' });
  }

  /** What a connection has heard of an earlier instance; what ended since, nobody could tell it. */
  #doubt(told: readonly string[]): void {
    const doubtful = told.filter((session) => !this.#held.has(session));
    for (const session of doubtful) this.#doubted.add(session);
    if (doubtful.length > 0) this.#reconcile();
  }

  #connected(): Connected {
    return {
      profile: { ...this.#profile!, presence: this.#shownPresence() },
      sessions: [...this.#held.keys()],
    };
  }

  #disconnect(gone: (peer: Peer) => boolean): void {
    const before = this.#peers.length;
    this.#peers = this.#peers.filter((peer) => !gone(peer));
    if (before === 0 || this.#peers.length > 0) return;
    this.#context.startTimer('grace', this.#options.graceMs, { type: 'graceOver' });
    this.#watchQueues(false);
    this.#report();
  }

  #graceOver(): void {
    if (this.#peers.length > 0) return;
    if (!this.#gone) {
      this.#gone = true;
      this.#report();
    }
    if (this.#options.onAway === 'wait' || this.#held.size === 0) return;
    for (const session of this.#held.keys()) {
      this.#context.system
        .ref(sessionKind, session)
        .tell({ type: 'requeue', agent: this.#id, reason: 'agent_away' });
    }
    // A session that did not answer is asked again: its message may have been lost.
    this.#context.startTimer('grace', Math.max(1000, this.#options.graceMs), { type: 'graceOver' });
  }

  async #setPresence(state: Presence, reply: Reply | undefined): Promise<void> {
    try {
      await this.#options.directory.savePresence(this.#id, state);
    } catch (error) {
      if (!(error instanceof KefuError)) throw error;
      reply?.fail(toRefusal(error));
      return;
    }
    this.#presence = state;
    this.#idleSince = this.#context.clock.wallMs();
    reply?.ok(null);
    this.#report();
  }

  #shownPresence(): Presence {
    return this.#gone && this.#presence !== 'offline' ? 'away' : this.#presence;
  }

  #status(): AgentStatus {
    return { presence: this.#shownPresence(), open: this.#held.size, capacity: this.#profile!.capacity };
  }

  // ---- capacity

  #candidate(): Candidate {
    return {
      id: this.#id,
      online: this.#presence === 'online' && this.#peers.length > 0,
      open: this.#held.size + this.#reserved.size,
      capacity: this.#profile!.capacity,
      idleSince: this.#idleSince,
    };
  }

  #reserve(session: string): Reservation {
    const now = this.#context.clock.nowMs();
    const status = this.#candidate();
    const mine = this.#reserved.has(session);
    const room = mine || status.open < status.capacity;
    if (!status.online || !room || this.#held.has(session) || now < this.#grantsFromMs) {
      return { granted: false, status };
    }
    const deadlineMs = now + this.#options.reserveMs;
    this.#reserved.set(session, { deadlineMs });
    this.#context.startTimer('reservations', this.#options.reserveMs + 500, { type: 'checkReservations' });
    return { granted: true, agent: { id: this.#id, name: this.#profile!.name } };
  }

  /** To a session that is about to take the slot: until it has been looked up there, the slot stays taken. */
  #promise(session: string, reply: Reply | undefined): void {
    const slot = this.#reserved.get(session);
    const now = this.#context.clock.nowMs();
    if (slot === undefined || slot.deadlineMs < now) {
      reply?.fail(refusal('conflict', 'the reservation has lapsed'));
      return;
    }
    this.#reserved.set(session, { deadlineMs: now + this.#options.reserveMs });
    reply?.ok(this.#fence);
  }

  /** Looks at the sessions whose reservations have lapsed. */
  #checkReservations(): void {
    const now = this.#context.clock.nowMs();
    for (const [session, slot] of this.#reserved) if (slot.deadlineMs < now) this.#look(session, slot);
    if (this.#reserved.size > 0)
      this.#context.startTimer('reservations', this.#options.reserveMs + 500, { type: 'checkReservations' });
  }

  #look(session: string, slot: Slot): void {
    const { system } = this.#context;
    void system
      .ref(sessionKind, session)
      .ask<Holder>({ type: 'holder' }, askMs)
      .then((holder) => {
        // While the assignment is on its way to the database the session says so, and the slot stays taken.
        if (this.#reserved.get(session) !== slot) return;
        if (holder.agent !== this.#id)
          return system.notify(agentKind, this.#id, { type: 'lapsed', session, slot });
        // It took the slot, and its word was lost.
        const held = [{ session, seq: holder.seq }];
        system.notify(agentKind, this.#id, { type: 'found', held, lost: [] });
      })
      // No answer: the outcome stays unknown, and the next check asks again.
      .catch(() => undefined);
  }

  /** Between the session's answer and this its slot may have been promised anew. */
  #lapse(session: string, slot: object): void {
    if (this.#reserved.get(session) !== slot) return;
    this.#reserved.delete(session);
    this.#report();
  }

  #hold(session: string, seq: number): void {
    this.#reserved.delete(session);
    this.#doubted.delete(session);
    const known = this.#held.has(session);
    this.#held.set(session, Math.max(seq, this.#held.get(session) ?? 0));
    if (known) return;
    this.#idleSince = this.#context.clock.wallMs();
    this.#tellPeers((conns) => ({ type: 'assigned', conns, session }));
    this.#report();
  }

  /** A session says that it left. It may have come back since: an older word than what is known here says nothing. */
  #letGo(session: string, reason: string, seq: number): void {
    if (!this.#held.has(session) && !this.#doubted.has(session)) return;
    const since = this.#held.get(session);
    if (since === undefined) this.#reconcile();
    else if (since < seq) this.#release(session, reason, seq);
  }

  /** A slot that is reserved for it stays: that is a later promise. */
  #release(session: string, reason: string, seq: number): void {
    const isKnown = this.#held.delete(session);
    if (!this.#doubted.delete(session) && !isKnown) return;
    this.#tellPeers((conns) => ({ type: 'released', conns, session, reason, seq }));
    this.#idleSince = this.#context.clock.wallMs();
    this.#report();
  }

  /** Compares what it holds with the tables; a difference is looked up at the session, which knows. */
  #reconcile(): void {
    this.#reconciledAtMs = this.#context.clock.nowMs();
    if (!this.#gone) this.#context.startTimer('reconcile', reconcileMs, { type: 'reconcile' });
    // What a queue has missed of this agent it learns now.
    for (const group of this.#profile!.groups) this.#tellQueue(group);
    this.#reconcileAgain = this.#reconciling;
    if (this.#reconciling) return;
    this.#reconciling = true;
    const { system } = this.#context;
    void this.#differences().then(
      ({ held, lost }) => {
        this.#reconciling = false;
        system.notify(agentKind, this.#id, { type: 'found', held, lost });
        // What was doubted meanwhile was perhaps not looked at.
        if (this.#reconcileAgain) system.notify(agentKind, this.#id, { type: 'reconcile' });
      },
      () => {
        this.#reconciling = false;
      },
    );
  }

  async #differences(): Promise<{ held: Sighting[]; lost: Sighting[] }> {
    const here = [...this.#held.keys(), ...this.#doubted];
    const sure = new Set(here.filter((session) => this.#held.get(session) !== undefined));
    const stored = new Set(await this.#options.sessions.heldBy(this.#id));
    const doubtful = new Set([...here, ...stored]);
    for (const session of sure) if (stored.has(session)) doubtful.delete(session);
    const held: Sighting[] = [];
    const lost: Sighting[] = [];
    for (const session of doubtful) {
      const ref = this.#context.system.ref(sessionKind, session);
      const holder = await ref.ask<Holder>({ type: 'holder' }, askMs);
      (holder.agent === this.#id ? held : lost).push({ session, seq: holder.seq });
    }
    return { held, lost };
  }

  // ---- telling

  #report(): void {
    for (const group of this.#profile!.groups) this.#tellQueue(group);
    const { presence, open, capacity } = this.#status();
    this.#tellPeers((conns) => ({
      type: 'frame',
      conns,
      frame: { t: 'presence', state: presence, open, capacity },
    }));
  }

  #tellQueue(group: string): void {
    const queue = this.#context.system.ref(queueKind, group);
    queue.tell({ type: 'agent', status: this.#candidate() });
    if (this.#peers.length > 0) queue.tell({ type: 'watch', agent: this.#id, on: true });
  }

  #watchQueues(on: boolean): void {
    for (const group of this.#profile!.groups)
      this.#context.system.ref(queueKind, group).tell({ type: 'watch', agent: this.#id, on });
  }

  #tellPeers(message: (conns: readonly number[]) => GatewayMessage): void {
    const threads = new Map<string, number[]>();
    for (const peer of this.#peers) {
      const conns = threads.get(peer.thread);
      if (conns === undefined) threads.set(peer.thread, [peer.conn]);
      else conns.push(peer.conn);
    }
    for (const [thread, conns] of threads) this.#context.system.ref(gatewayKind, thread).tell(message(conns));
  }
}
