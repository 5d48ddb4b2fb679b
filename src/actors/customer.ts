import { isOutcomeUnknown, KefuError, toRefusal } from '../core/errors.ts';
import type { IdSource } from '../core/ids.ts';
import type { SessionView } from '../protocol/session-view.ts';
import type { Actor, ActorKind, Context, Reply } from './engine/types.ts';
import {
  customerKind,
  sessionKind,
  type CustomerMessage,
  type Fence,
  type Holder,
  type Opened,
  type OpenRequest,
} from './messages.ts';
import type { Journal, Sessions } from './ports.ts';

/** A customer: finds its one open session, or opens it. Two opens at once meet here, one after the other. */
export interface CustomerOptions {
  readonly journal: Journal;
  readonly sessions: Sessions;
  readonly ids: IdSource;
  readonly mailboxMax: number;
  readonly idleMs: number;
}

const askMs = 8_000;

export function customerActors(options: CustomerOptions): ActorKind<CustomerMessage> {
  return {
    ...customerKind,
    mailboxMax: options.mailboxMax,
    idleMs: options.idleMs,
    create: (context) => new CustomerActor(options, context),
  };
}

class CustomerActor implements Actor<CustomerMessage> {
  readonly #options: CustomerOptions;
  readonly #context: Context<CustomerMessage>;
  #open: string | null = null;
  #lastAgent: string | null = null;
  /** The last session that was closed. */
  #last: string | null = null;
  /** False while it is not known whether the last opening came to be. */
  #settled = true;
  #fence!: Fence;

  constructor(options: CustomerOptions, context: Context<CustomerMessage>) {
    this.#options = options;
    this.#context = context;
  }

  async load(): Promise<void> {
    // Once, before anything is read: an evicted actor must not go on under its thread's next epoch.
    this.#fence = this.#options.journal.fenceOf(this.#context.key);
    const { open, last, lastAgent } = await this.#options.sessions.ofCustomer(this.#context.key);
    this.#open = open;
    this.#last = last;
    this.#lastAgent = lastAgent;
  }

  describe(): unknown {
    return { open: this.#open };
  }

  receive(message: CustomerMessage, reply: Reply | undefined): void | Promise<void> {
    switch (message.type) {
      case 'current':
        reply?.ok(this.#open);
        return;
      case 'closed':
        // What comes next starts from the tables again: they know the last agent.
        if (this.#open === message.session) this.#context.stop();
        return;
      case 'open':
        return this.#openOne(message).then(
          (opened) => reply?.ok(opened),
          (error: unknown) => this.#failed(error, reply),
        );
    }
  }

  async #openOne(message: OpenRequest): Promise<Opened> {
    if (this.#open !== null && this.#settled) {
      const session = await this.#present(this.#open, message);
      if (session !== undefined && session.state !== 'closed') return { session, existed: true };
      this.#lastAgent = session?.agent?.id ?? this.#lastAgent;
      if (session !== undefined) this.#last = session.id;
      this.#open = null;
    }
    // While it is not known what became of an opening it is asked for again under the same id: "not there" does not
    // mean that it will not be, for the message may still be on its way.
    const again = this.#open !== null;
    const id = this.#open ?? this.#options.ids.next();
    this.#open = id;
    this.#settled = false;
    try {
      const session = await this.#openAs(id, message);
      this.#settled = true;
      return { session, existed: false };
    } catch (error) {
      if (!again || !(error instanceof KefuError) || error.code !== 'conflict') throw error;
      const session = await this.#present(id, message);
      if (session === undefined) throw stillOpening();
      this.#settled = true;
      return { session, existed: true };
    }
  }

  #openAs(id: string, message: OpenRequest): Promise<SessionView> {
    return this.#context.system.ref(sessionKind, id).ask<SessionView>(
      {
        type: 'open',
        customer: message.customer,
        group: message.group,
        channel: message.channel,
        subject: message.subject,
        attributes: message.attributes,
        lastAgent: this.#lastAgent,
        previous: this.#last,
        fence: this.#fence,
      },
      askMs,
    );
  }

  /**
   * The session that was opened, as far as it is known; undefined when it never came to be. One whose opening is still
   * on its way to the database is neither: another must not be opened beside it.
   */
  async #present(id: string, { customer }: OpenRequest): Promise<SessionView | undefined> {
    const ref = this.#context.system.ref(sessionKind, id);
    try {
      return await ref.ask<SessionView>({ type: 'view', who: { kind: 'customer', ...customer } }, askMs);
    } catch (error) {
      if (!(error instanceof KefuError) || error.code !== 'not_found') throw error;
    }
    const { state } = await ref.ask<Holder>({ type: 'holder' }, askMs);
    if (state === 'closed') return undefined;
    throw stillOpening();
  }

  #failed(error: unknown, reply: Reply | undefined): void {
    if (!(error instanceof KefuError)) throw error;
    // No answer: what was asked for is kept in mind, and looked at by the next request.
    if (isOutcomeUnknown(error)) return;
    reply?.fail(toRefusal(error));
    if (error.code !== 'unavailable') this.#context.stop();
  }

  mayPassivate(): boolean {
    return this.#settled;
  }
}

function stillOpening(): KefuError {
  return new KefuError('unavailable', 'the last request to open a session is still on its way', {
    retryAfterMs: 500,
  });
}
