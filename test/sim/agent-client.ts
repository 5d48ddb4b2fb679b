import { agentKind, type Connected, type GatewayMessage } from '../../src/actors/messages.ts';
import { askMs, Client, type Outside } from './clients.ts';
import type { SimThread } from './sim-thread.ts';

/** An agent: connects, is online, answers in what it was given, passes it on, closes it. */
export class AgentClient extends Client {
  readonly #conn: number;
  readonly #peers: readonly string[];
  readonly #listener = (lost: (kind: string, key: string) => boolean): void => {
    if (lost('agent', this.who.id)) this.#isDue = true;
  };
  /** What it works on. */
  readonly held = new Set<string>();
  /** What this connection was told is its own. */
  readonly told = new Set<string>();
  /** Not any more, since it asked for all. */
  readonly #released = new Set<string>();
  #isNew = true;
  #comparedMs = 0;
  #online = false;
  #connecting = false;
  #isDue = true;

  constructor(outside: Outside, id: string, peers: readonly string[]) {
    super(outside, { kind: 'agent', id, name: 'A', role: 'agent', groups: ['support'] });
    this.#conn = outside.next();
    this.#peers = peers.filter((peer) => peer !== id);
    this.#listen(this.home);
  }

  get settled(): boolean {
    return true;
  }

  /** As far as it knows it may be given sessions. */
  get isReady(): boolean {
    return this.#online && !this.#isDue && !this.#connecting;
  }

  #listen(thread: SimThread): void {
    thread.connections.set(this.#conn, (message) => this.#hear(message));
    thread.restartListeners.add(this.#listener);
  }

  override moved(from: SimThread): void {
    from.connections.delete(this.#conn);
    from.restartListeners.delete(this.#listener);
    // Its old thread sees the socket close, if it lives.
    const peer = { thread: from.id, conn: this.#conn };
    from.clock.run(() => from.system.ref(agentKind, this.who.id).tell({ type: 'disconnect', peer }));
    this.#listen(this.home);
    this.#isDue = true;
    this.#isNew = true;
    this.#connecting = false;
  }

  #hear(message: GatewayMessage): void {
    if (message.type === 'assigned') {
      this.held.add(message.session);
      this.told.add(message.session);
      this.#released.delete(message.session);
    }
    if (message.type === 'released') {
      this.held.delete(message.session);
      this.told.delete(message.session);
      this.#released.add(message.session);
    }
  }

  act(): void {
    const { chance } = this;
    // As src/net/connection.ts does, against what was lost on the way.
    const isOld = this.outside.time.sinceMs - this.#comparedMs > 20_000;
    if (this.#isDue || isOld) return this.#connect();
    if (!this.#online) return this.#beOnline();
    if (this.finishing || this.held.size === 0) return;
    const session = chance.pick([...this.held]);
    if (chance.happens(0.15)) this.#pass(session);
    else if (chance.happens(0.12)) this.#close(session);
    else if (chance.happens(0.2)) this.read(session, () => undefined);
    else this.say(session, `a${this.outside.next()}`, (code) => this.#told(session, code));
  }

  #told(session: string, code: string): void {
    if (code === 'not_participant' || code === 'invalid_transition') this.held.delete(session);
    if (code === 'internal') this.outside.ledger.fail(`${this.who.id} was refused with ${code}`);
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    this.#isDue = false;
    const thread = this.home;
    const over = (): boolean => thread !== this.home;
    const peer = { thread: thread.id, conn: this.#conn };
    this.#comparedMs = this.outside.time.sinceMs;
    this.#released.clear();
    if (this.#isNew) this.told.clear();
    this.#isNew = false;
    const held = [...this.told];
    // A thread that died does not say that the question was lost.
    this.outside.time.after(2 * askMs, () => {
      if (!over() && this.#connecting && !thread.clock.ended) this.#isDue = true;
    });
    this.at((at) => {
      at.system
        .ref(agentKind, this.who.id)
        .ask<Connected>({ type: 'connect', peer, held }, askMs)
        .then(
          ({ sessions }) => {
            if (over()) return;
            this.#connecting = false;
            for (const session of sessions) {
              this.held.add(session);
              if (!this.#released.has(session)) this.told.add(session);
            }
          },
          () => {
            if (over()) return;
            this.#connecting = false;
            this.#isDue = true;
          },
        );
    });
  }

  #beOnline(): void {
    this.at((at) => {
      at.system
        .ref(agentKind, this.who.id)
        .ask({ type: 'presence', state: 'online' }, askMs)
        .then(
          () => {
            this.#online = true;
          },
          () => undefined,
        );
    });
  }

  #pass(session: string): void {
    const token = `t${this.outside.next()}`;
    const to =
      this.#peers.length > 0 && this.chance.happens(0.5)
        ? { agent: this.chance.pick(this.#peers) }
        : { group: 'support' };
    this.change(session, token, { type: 'transfer', who: this.who, to, note: token }, (code) =>
      this.#told(session, code === 'ok' ? 'not_participant' : code),
    );
  }

  #close(session: string): void {
    const token = `d${this.outside.next()}`;
    this.change(session, token, { type: 'close', who: this.who, reason: token }, (code) =>
      this.#told(session, code === 'ok' ? 'not_participant' : code),
    );
  }
}
