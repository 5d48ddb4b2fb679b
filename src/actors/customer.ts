import { KefuError, toRefusal } from '../core/errors.ts';
import type { IdSource } from '../core/ids.ts';
import type { SessionView } from '../protocol/session-view.ts';
import type { Actor as Sender } from '../rules/session.ts';
import type { Actor, ActorKind, Context, Reply } from './engine/types.ts';
import {
  customerKind,
  sessionKind,
  type CustomerMessage,
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

  constructor(options: CustomerOptions, context: Context<CustomerMessage>) {
    this.#options = options;
    this.#context = context;
  }

  async load(): Promise<void> {
    const { open, lastAgent } = await this.#options.sessions.ofCustomer(this.#context.key);
    this.#open = open;
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
    if (this.#open !== null) {
      const who: Sender = { kind: 'customer', ...message.customer };
      const session = await this.#context.system
        .ref(sessionKind, this.#open)
        .ask<SessionView>({ type: 'view', who }, askMs);
      if (session.state !== 'closed') return { session, existed: true };
      this.#lastAgent = session.agent?.id ?? this.#lastAgent;
    }
    const id = this.#options.ids.next();
    this.#open = id;
    const session = await this.#context.system.ref(sessionKind, id).ask<SessionView>(
      {
        type: 'open',
        customer: message.customer,
        group: message.group,
        channel: message.channel,
        subject: message.subject,
        attributes: message.attributes,
        lastAgent: this.#lastAgent,
        fence: this.#options.journal.fenceOf(this.#context.key),
      },
      askMs,
    );
    return { session, existed: false };
  }

  /** Whether it was opened may be unclear: the next request begins with a look at the tables. */
  #failed(error: unknown, reply: Reply | undefined): void {
    if (!(error instanceof KefuError)) throw error;
    reply?.fail(toRefusal(error));
    this.#context.stop();
  }
}
