import { toRefusal, type Refusal } from '../core/errors.ts';
import type { Person } from '../rules/session.ts';
import type { Reply, System } from './engine/types.ts';
import { agentKind, sessionKind, type Fence } from './messages.ts';

interface Asked {
  readonly ticket: number;
  readonly agent: Person;
  readonly reply: Reply | undefined;
}

const promiseMs = 3_000;

/**
 * Before an assignment the agent is asked whether its slot is still kept for this session. Its word comes back as the
 * message `promised`; unless the agent has asked meanwhile and was told that this is not its session: it counts on that.
 */
export class SessionPromise {
  readonly #system: System;
  readonly #id: string;
  readonly #instance: number;
  #asked: Asked | undefined;
  #tickets = 0;

  constructor(system: System, id: string, instance: number) {
    this.#system = system;
    this.#id = id;
    this.#instance = instance;
  }

  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /** Nothing else of the session waits for the answer. */
  ask(agent: Person, reply: Reply | undefined): void {
    const ticket = (this.#tickets += 1);
    const instance = this.#instance;
    this.#asked = { ticket, agent, reply };
    const promised = (fence: Fence | Refusal): void =>
      this.#system.notify(sessionKind, this.#id, { type: 'promised', instance, ticket, fence });
    this.#system
      .ref(agentKind, agent.id)
      .ask<Fence>({ type: 'promise', session: this.#id }, promiseMs)
      .then(promised, (error: unknown) => promised(toRefusal(error)));
  }

  /** Undefined when it does not count any more. */
  take(ticket: number): Asked | undefined {
    const asked = this.#asked;
    if (asked?.ticket !== ticket) return undefined;
    this.#asked = undefined;
    return asked;
  }

  forget(): void {
    this.#asked = undefined;
  }
}
