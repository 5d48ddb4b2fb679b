import { sessionKind, type GatewayMessage } from '../../src/actors/messages.ts';
import { refusal, type Refusal } from '../../src/core/errors.ts';
import { jsonCodec } from '../../src/net/codec.ts';
import { EventFrames } from '../../src/net/event-frames.ts';
import { Follower } from '../../src/net/follower.ts';
import type { CustomerClient, Outside } from './clients.ts';
import { Client } from './clients.ts';
import type { Attempt } from './ledger.ts';
import type { SimThread } from './sim-thread.ts';

interface Said {
  readonly token: string;
  sentMs: number;
}

/** A frame as it reaches the device. */
interface Frame {
  readonly t: string;
  readonly seq?: number;
  readonly id?: string;
  readonly ref?: number;
  readonly repeat?: boolean;
}

const patienceMs = 1_500;
const justMoved = refusal('unavailable', 'this session has just moved; try again', 500);

/**
 * A customer's second device: it follows the session over a connection (the real Follower of src/net), says things
 * there, and must get every event once, in its place, whatever moves, dies or is lost.
 */
export class WatcherClient extends Client {
  readonly #customer: CustomerClient;
  session: string | undefined;
  /** The newest event that this device has. */
  lastSeq = 0;
  #conn = 0;
  #follower: Follower | undefined;
  #saying: Said[] = [];
  readonly #attempts = new Map<number, { attempt: Attempt; note: ReturnType<Client['asked']> }>();
  readonly #listener = (lost: (kind: string, key: string) => boolean): void =>
    this.#follower?.restarted((session) => lost('session', session));

  constructor(outside: Outside, customer: CustomerClient) {
    super(outside, customer.who);
    this.#customer = customer;
  }

  get settled(): boolean {
    return this.#saying.length === 0;
  }

  override moved(from: SimThread): void {
    from.connections.delete(this.#conn);
    from.restartListeners.delete(this.#listener);
    const follower = this.#follower;
    from.clock.run(() => follower?.dropAll());
    this.#follower = undefined;
  }

  act(): void {
    if (this.session !== this.#customer.session && !this.finishing && this.settled) this.#change();
    if (this.session === undefined) return;
    if (this.#follower === undefined) return this.#connect(this.session);
    const follower = this.#follower;
    this.home.clock.run(() => follower.tick());
    const now = this.outside.time.sinceMs;
    for (const one of this.#saying) if (now - one.sentMs > patienceMs) this.#sayIt(one);
    if (this.finishing || this.#saying.length > 1 || !this.chance.happens(0.3)) return;
    const one = { token: `w${this.outside.next()}`, sentMs: 0 };
    this.#saying.push(one);
    this.#sayIt(one);
  }

  /** To the session that the customer has now. */
  #change(): void {
    this.moved(this.home);
    this.session = this.#customer.session;
    this.lastSeq = 0;
  }

  #connect(session: string): void {
    const { home } = this;
    const conn = this.outside.next();
    const follower = this.#makeFollower(home, conn);
    this.#conn = conn;
    this.#follower = follower;
    home.connections.set(conn, (message) => this.#hear(follower, message));
    home.restartListeners.add(this.#listener);
    const again = (): void => {
      if (this.#follower === follower) this.moved(home);
    };
    // A greeting that takes too long is begun anew, as a client does.
    this.outside.time.after(4_000, () => {
      if (follower.get(session)?.live !== true) again();
    });
    this.at((thread) => {
      if (thread !== home || this.#follower !== follower) return;
      follower
        .follow(session, this.lastSeq)
        .then((snapshot) => (snapshot === undefined ? again() : follower.begin(session, snapshot)), again);
    });
  }

  #makeFollower(home: SimThread, conn: number): Follower {
    const peer = { thread: home.id, conn };
    const ref = (session: string): ReturnType<typeof home.system.ref> =>
      home.system.ref(sessionKind, session);
    const isGone = (): boolean => this.#follower !== follower || home.clock.ended;
    const follower: Follower = new Follower(
      {
        codec: jsonCodec,
        who: () => this.who,
        isGone,
        send: (frame) => {
          if (!isGone()) this.#got(frame as Frame);
        },
        write: (data) => {
          if (!isGone()) this.#got(JSON.parse(data as string) as Frame);
        },
        cork: (work) => work(),
        buffered: () => 0,
        error: (number, why) => this.#refused(number as number, why),
        subscribe: (session, after) => ref(session).tell({ type: 'subscribe', peer, who: this.who, after }),
        replay: (session, after) => ref(session).tell({ type: 'replay', peer, after }),
        unsubscribe: (session) => void ref(session).tell({ type: 'unsubscribe', peer }),
        count: () => undefined,
      },
      1e6,
    );
    return follower;
  }

  /** As src/net/gateway.ts hands it on. */
  #hear(follower: Follower, message: GatewayMessage): void {
    switch (message.type) {
      case 'events':
        return follower.events(message.session, new EventFrames(message.events));
      case 'snapshot':
        return follower.snapshot(message.session, message);
      case 'page':
        return follower.page(message.session, message.events, message.head);
      case 'head':
        return follower.headIs(message.session, message.head);
      case 'missed':
        return follower.missed(message.session, message.refusal);
      case 'said':
        return follower.said(message.session, message.id, message.seq, message.at);
      case 'refused':
        return follower.refused(message.session, message.id, message.refusal);
      case 'stranger': {
        const { session, id, body, conn } = message;
        if (!follower.again(session)) return follower.refused(session, id, justMoved);
        const peer = { thread: this.home.id, conn };
        this.home.system.ref(sessionKind, session).tell({ type: 'say', peer, id, body });
        return;
      }
      default:
        return;
    }
  }

  // ---- what the device sees

  #got(frame: Frame): void {
    const { ledger } = this.outside;
    const { session } = this;
    if (session === undefined) return;
    if (frame.t === 'reset') ledger.fail(`${session} was reset`);
    if (frame.t === 'ack') {
      this.#acked(session, frame);
      if (frame.repeat === true) return;
    } else if (frame.t !== 'event') return;
    if (frame.seq !== this.lastSeq + 1)
      ledger.fail(`${session}: a device got ${frame.t} ${frame.seq} after ${this.lastSeq}`);
    this.lastSeq = frame.seq!;
    ledger.told(session, this.lastSeq);
  }

  #acked(session: string, { id, ref, seq }: Frame): void {
    const known = this.#attempts.get(ref!);
    if (known !== undefined) {
      known.attempt.ending = 'ok';
      known.note('ok', seq);
    }
    this.outside.trace.add('device', `${id} (${ref}) acked as ${session.slice(-4)}:${seq}`);
    this.outside.ledger.acked(session, id!, seq!);
    this.#saying = this.#saying.filter((it) => it.token !== id);
  }

  #refused(ref: number, { code, message }: Refusal): void {
    const known = this.#attempts.get(ref);
    if (known === undefined) return;
    const { attempt, note } = known;
    note(code);
    attempt.ending = 'refused';
    this.outside.trace.add('device', `${attempt.token} (${ref}) refused with ${code}: ${message}`);
    if (code !== 'unavailable' && code !== 'busy')
      this.#saying = this.#saying.filter((it) => it.token !== attempt.token);
    if (code === 'internal' || code === 'not_found' || code === 'conflict')
      this.outside.ledger.fail(`${attempt.token} of a device was refused with ${code}`);
  }

  #sayIt(one: Said): void {
    const { session } = this;
    const follower = this.#follower;
    if (session === undefined || follower === undefined) return;
    one.sentMs = this.outside.time.sinceMs;
    const ref = this.outside.next();
    const attempt = this.outside.ledger.begin(one.token);
    this.#attempts.set(ref, { attempt, note: this.asked('say', session, one.token) });
    this.outside.trace.add(
      'device',
      `says ${one.token} (${ref}) in ${session.slice(-4)} over ${this.home.id}`,
    );
    const conn = this.#conn;
    this.at((thread) => {
      const sub = follower.get(session);
      if (this.#follower !== follower || sub === undefined) {
        // It never left the device.
        attempt.ending = 'refused';
        return;
      }
      sub.said(one.token, ref);
      const peer = { thread: thread.id, conn };
      const message = { type: 'say', peer, id: one.token, body: { text: one.token } } as const;
      if (!thread.system.ref(sessionKind, session).tell(message))
        follower.refused(session, one.token, justMoved);
    });
  }
}
