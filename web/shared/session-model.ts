import { EventLog } from './event-log.ts';
import type { ChatEvent, Kind, Party, Session } from './protocol.ts';

const TYPING_MS = 5_000;

/** One session as this page sees it: the server's object, the log it holds, and what passes by without being kept. */
export class SessionModel {
  session: Session;
  readonly log: EventLog;
  /** Frames of this session come over this connection: the customer's own, or held by this agent. */
  live = true;
  queue: { position: number; ahead: number; etaMs: number | undefined } | null = null;
  reads: { customer: number; agent: number } = { customer: 0, agent: 0 };
  typing = new Map<string, { from: Party; until: number }>();
  rated: number | null = null;
  loading = false;
  /** Why it left this agent, once it has. */
  released: string | null = null;

  constructor(session: Session, base: number) {
    this.session = session;
    this.log = new EventLog(base);
  }

  get id(): string {
    return this.session.id;
  }

  get closed(): boolean {
    return this.session.state === 'closed';
  }

  /** Takes the events that the log has just made readable, in order. */
  evolve(events: readonly ChatEvent[]): void {
    for (const event of events) this.#evolve(event);
  }

  #evolve(event: ChatEvent): void {
    const session = this.session;
    session.last_seq = Math.max(session.last_seq, event.seq);
    switch (event.type) {
      case 'message':
        if (event.from) this.typing.delete(event.from.id);
        break;
      case 'assigned':
        session.agent = event.agent ?? session.agent;
        session.state = 'chatting';
        this.queue = null;
        break;
      case 'transferring':
        session.state = 'transferring';
        break;
      case 'closed':
        session.state = 'closed';
        session.closed_at = event.at ?? null;
        this.queue = null;
        this.typing.clear();
        break;
      case 'rated':
        this.rated = event.score ?? 0;
        break;
      default:
        break;
    }
  }

  noteTyping(from: Party): void {
    this.typing.set(from.id, { from, until: Date.now() + TYPING_MS });
  }

  /** Who types now; forgets those who have stopped. */
  typists(): Party[] {
    const now = Date.now();
    for (const [id, entry] of this.typing) if (entry.until <= now) this.typing.delete(id);
    return [...this.typing.values()].map((entry) => entry.from);
  }

  markRead(kind: Kind, seq: number): void {
    const side = kind === 'customer' ? 'customer' : 'agent';
    this.reads[side] = Math.max(this.reads[side], seq);
  }

  /** The other side's messages since this side last read or wrote. */
  unread(me: { kind: Kind; id: string }): number {
    const side = me.kind === 'customer' ? 'customer' : 'agent';
    const from = Math.max(this.log.first, this.reads[side] + 1);
    let count = 0;
    for (let seq = this.log.head; seq >= from; seq -= 1) {
      const event = this.log.get(seq);
      if (event?.from?.id === me.id) break;
      if (event?.type !== 'message' || !event.from) continue;
      const other = (event.from.kind === 'customer') !== (side === 'customer');
      if (other) count += 1;
    }
    return count;
  }

  lastMessage(): ChatEvent | undefined {
    for (let seq = this.log.head; seq >= this.log.first; seq -= 1) {
      const event = this.log.get(seq);
      if (event?.type === 'message') return event;
    }
    return undefined;
  }
}
