import {
  customerKind,
  sessionKind,
  type HistoryPage,
  type Opened,
  type Said,
} from '../../src/actors/messages.ts';
import { isOutcomeUnknown, KefuError } from '../../src/core/errors.ts';
import type { SessionView } from '../../src/protocol/session-view.ts';
import type { Actor, Person } from '../../src/rules/session.ts';
import type { SimChance } from './chance.ts';
import type { Attempt, Ledger } from './ledger.ts';
import type { SimNode } from './sim-node.ts';
import type { SimThread } from './sim-thread.ts';
import type { SimTime } from './time.ts';
import type { Trace } from './trace.ts';

/** The people of a run: they keep to the contract, and are told when the run ends. */
export interface Outside {
  readonly time: SimTime;
  readonly chance: SimChance;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly paceMs: number;
  readonly nodes: () => readonly SimNode[];
  /** A number that is new. */
  readonly next: () => number;
  /** What was asked, when, and what was answered: for the check of linearizability. */
  readonly record: (entry: HistoryEntry) => void;
}

export interface HistoryEntry {
  readonly client: string;
  readonly session: string;
  readonly kind: 'say' | 'transfer' | 'close' | 'history';
  readonly token: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly ending: 'ok' | 'refused' | 'unknown';
  /** The seq of a `say`, the last seq of the others. */
  readonly seq: number;
  /** Why it was refused. */
  readonly code: string;
  /** What a history held of the tokens of clients. */
  readonly seen: readonly string[];
}

export const askMs = 4_000;

/** A connection of somebody to a thread of a node, and what both kinds of people do over it. */
export abstract class Client {
  readonly outside: Outside;
  readonly who: Actor;
  readonly chance: SimChance;
  home: SimThread;
  #homeNode: SimNode;
  /** Nothing new is begun. */
  finishing = false;

  constructor(outside: Outside, who: Actor) {
    this.outside = outside;
    this.who = who;
    this.chance = outside.chance.fork();
    this.#homeNode = this.chance.pick(outside.nodes());
    this.home = this.chance.pick(this.#homeNode.threads);
  }

  start(): void {
    const { time, paceMs } = this.outside;
    const next = (): void => {
      this.#findHome();
      this.act();
      time.after(paceMs * (0.2 + 1.6 * this.chance.next()), next);
    };
    time.after(paceMs * this.chance.next(), next);
  }

  abstract act(): void;
  /** True when nothing is left to be settled. */
  abstract get settled(): boolean;

  /** Its connection broke, or it heard nothing for too long: to another node, or the same one. */
  #findHome(): void {
    const node = this.#homeNode;
    const lost =
      !node.responds || !node.threads.includes(this.home) || (!this.finishing && this.chance.happens(0.02));
    if (!lost) return;
    const choice = this.outside.nodes().filter((it) => it.responds);
    if (choice.length === 0) return;
    const old = this.home;
    this.#homeNode = this.chance.pick(choice);
    this.home = this.chance.pick(this.#homeNode.threads);
    if (this.home !== old) this.moved(old);
  }

  moved(_from: SimThread): void {
    // Customers ask anew; agents connect anew.
  }

  /** At the thread that has its connection, when that runs. */
  at(work: (thread: SimThread) => void): void {
    const { home } = this;
    this.outside.time.after(this.chance.between(0.2, 3), () => home.clock.run(() => work(home)));
  }

  // ---- requests

  say(
    session: string,
    token: string,
    settled: (code: 'ok' | 'unknown' | KefuError['code'], seq: number) => void,
  ): void {
    const attempt = this.outside.ledger.begin(token);
    const note = this.asked('say', session, token);
    this.at((thread) => {
      const message = { type: 'post', who: this.who, id: token, body: { text: token } } as const;
      thread.system
        .ref(sessionKind, session)
        .ask<Said>(message, askMs)
        .then(
          ({ seq }) => {
            attempt.ending = 'ok';
            this.outside.ledger.acked(session, token, seq);
            note('ok', seq);
            settled('ok', seq);
          },
          (error: unknown) => {
            const code = this.ended(attempt, error);
            note(code);
            settled(code, 0);
          },
        );
    });
  }

  /** How a failed request ended, as its sender sees it. */
  ended(attempt: Attempt, error: unknown): 'unknown' | KefuError['code'] {
    const { ledger, trace } = this.outside;
    if (!(error instanceof KefuError)) {
      ledger.fail(`${attempt.token} ended in ${String(error)}`);
      return 'unknown';
    }
    const unknown = isOutcomeUnknown(error);
    attempt.ending = unknown ? 'unknown' : 'refused';
    trace.add(this.who.id, `${attempt.token} ${unknown ? 'unknown' : error.code}: ${error.message}`);
    return unknown ? 'unknown' : error.code;
  }

  change(
    session: string,
    token: string,
    message:
      | { type: 'close'; who: Actor; reason: string }
      | { type: 'transfer'; who: Actor; to: { agent?: string; group?: string }; note: string },
    settled: (code: 'ok' | 'unknown' | KefuError['code']) => void,
  ): void {
    const attempt = this.outside.ledger.begin(token);
    const note = this.asked(message.type, session, token);
    this.at((thread) => {
      thread.system
        .ref(sessionKind, session)
        .ask<SessionView>(message, askMs)
        .then(
          (view) => {
            attempt.ending = 'ok';
            this.outside.trace.add(this.who.id, `${message.type} ${token}`);
            this.outside.ledger.told(session, view.last_seq);
            note('ok', view.last_seq);
            settled('ok');
          },
          (error: unknown) => {
            const code = this.ended(attempt, error);
            note(code);
            settled(code);
          },
        );
    });
  }

  read(session: string, settled: (code: 'ok' | 'unknown' | KefuError['code']) => void): void {
    const { ledger } = this.outside;
    const floor = ledger.floor(session);
    const note = this.asked('history', session, '');
    this.at((thread) => {
      thread.system
        .ref(sessionKind, session)
        .ask<HistoryPage>({ type: 'history', who: this.who, limit: 500 }, askMs)
        .then(
          ({ events }) => {
            ledger.read(session, floor, events);
            const seen = events.flatMap((event) => tokensOf(event.json));
            note('ok', events.length, seen);
            settled('ok');
          },
          (error: unknown) =>
            settled(
              isOutcomeUnknown(error) ? 'unknown' : error instanceof KefuError ? error.code : 'internal',
            ),
        );
    });
  }

  /** Writes down that something was asked; returns what writes down the answer. It may never come. */
  asked(
    kind: HistoryEntry['kind'],
    session: string,
    token: string,
  ): (code: 'ok' | 'unknown' | KefuError['code'], seq?: number, seen?: readonly string[]) => void {
    const { record, time } = this.outside;
    const entry = {
      client: this.who.id,
      kind,
      session,
      token,
      startMs: time.sinceMs,
      endMs: Infinity,
      ending: 'unknown' as HistoryEntry['ending'],
      seq: 0,
      seen: [] as readonly string[],
      code: '',
    };
    record(entry);
    return (code, seq = 0, seen = []) =>
      Object.assign(entry, {
        endMs: time.sinceMs,
        ending: code === 'ok' || code === 'unknown' ? code : 'refused',
        code,
        seq,
        seen,
      });
  }
}

interface Saying {
  readonly token: string;
  readonly session: string;
  inFlight: number;
  sentMs: number;
}

/** Without an answer for so long, people try again. */
const patienceMs = 1_500;

/** A customer: opens a session, says things until each is acknowledged, reads, closes, and opens the next one. */
export class CustomerClient extends Client {
  readonly #person: Person;
  session: string | undefined;
  #opening = false;
  #openingSinceMs = 0;
  /** What is to be said, or said again. */
  #saying: Saying[] = [];

  constructor(outside: Outside, id: string) {
    super(outside, { kind: 'customer', id, name: 'C' });
    this.#person = { id, name: 'C' };
  }

  get settled(): boolean {
    return this.#saying.length === 0;
  }

  act(): void {
    const { chance } = this;
    if (this.#saying.length > 0) for (const one of this.#saying) this.#sayIt(one);
    if (this.finishing) {
      if (this.session !== undefined && this.settled) this.readOwn(this.session);
      return;
    }
    if (this.session === undefined) return this.#open();
    const { session } = this;
    if (chance.happens(0.06)) this.#close(session);
    else if (chance.happens(0.3)) this.readOwn(session);
    else if (this.#saying.length < 3) {
      const one = { token: `m${this.outside.next()}`, inFlight: 0, sentMs: 0, session };
      this.#saying.push(one);
      this.#sayIt(one);
    }
  }

  /** Once, or once more while the first is not answered: people's devices do that, after a silence. */
  #sayIt(one: Saying): void {
    const now = this.outside.time.sinceMs;
    if (one.inFlight > 0 && now - one.sentMs < patienceMs) return;
    one.inFlight += 1;
    one.sentMs = now;
    this.say(one.session, one.token, (code) => {
      one.inFlight -= 1;
      const over = code === 'ok' || code === 'invalid_transition' || code === 'not_participant';
      if (over) this.#saying = this.#saying.filter((it) => it !== one);
      if (code === 'invalid_transition' && this.session === one.session) this.session = undefined;
      this.#odd(code, one.token);
    });
  }

  #odd(code: string, token: string): void {
    if (code === 'not_found' || code === 'internal' || code === 'forbidden' || code === 'conflict')
      this.outside.ledger.fail(`${token} of ${this.who.id} was refused with ${code}`);
  }

  readOwn(session: string): void {
    this.read(session, (code) => this.#odd(code, `a history of ${session}`));
  }

  #close(session: string): void {
    const token = `c${this.outside.next()}`;
    this.change(session, token, { type: 'close', who: this.who, reason: token }, (code) => {
      if ((code === 'ok' || code === 'invalid_transition') && this.session === session)
        this.session = undefined;
      this.#odd(code, token);
    });
  }

  #open(): void {
    const now = this.outside.time.sinceMs;
    if (this.#opening && now - this.#openingSinceMs < patienceMs) return;
    this.#opening = true;
    this.#openingSinceMs = now;
    const { ledger, trace } = this.outside;
    const token = `o${this.outside.next()}`;
    const attempt = ledger.begin(token);
    const request = {
      customer: this.#person,
      group: 'support',
      channel: 'web',
      subject: token,
      attributes: {},
    };
    this.at((thread) => {
      thread.system
        .ref(customerKind, this.#person.id)
        .ask<Opened>({ type: 'open', ...request }, 2 * askMs)
        .then(
          ({ session, existed }) => {
            this.#opening = false;
            attempt.ending = existed ? 'refused' : 'ok';
            trace.add(this.who.id, `opened ${session.id.slice(-4)} ${existed ? 'again' : 'new'}`);
            ledger.told(session.id, session.last_seq);
            this.session ??= session.id;
          },
          (error: unknown) => {
            this.#opening = false;
            const code = this.ended(attempt, error);
            if (code !== 'conflict') this.#odd(code, token);
          },
        );
    });
  }
}

/** The tokens by which clients know an event of theirs: a message's id, a transfer's note, a close's reason. */
export function tokensOf(json: string): string[] {
  const { type, id, text, reason } = JSON.parse(json) as {
    type: string;
    id: string;
    text?: string;
    reason?: string;
  };
  if (type === 'message') return [id];
  if (type === 'note') return [text!];
  return type === 'closed' ? [reason!] : [];
}
