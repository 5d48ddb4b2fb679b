// The frames and bodies of docs/protocol.md, as far as the pages read or write them.

export type Kind = 'customer' | 'agent' | 'bot' | 'system';
export type Presence = 'online' | 'busy' | 'away' | 'offline';
export type SessionState = 'waiting' | 'chatting' | 'transferring' | 'closed';

export interface Party {
  kind: Kind;
  id: string;
  name: string | null;
}

export interface Named {
  id: string;
  name: string | null;
}

export interface Session {
  id: string;
  state: SessionState;
  customer: Named;
  agent: Named | null;
  group: string;
  channel: string;
  subject: string | null;
  attributes: Record<string, unknown> | null;
  opened_at: string;
  closed_at: string | null;
  last_seq: number;
}

export interface FileBody {
  type: 'image' | 'file';
  url: string;
  name: string;
  mime: string;
  size: number;
}

export type Body =
  | { type: 'text'; text: string }
  | FileBody
  | { type: 'card'; title: string; text?: string; url?: string; image?: string }
  | { type: 'event'; name: string; data?: unknown };

/** One entry of a session's log. `hidden` entries carry only `session`, `seq` and `type`. */
export interface ChatEvent {
  session: string;
  seq: number;
  type: string;
  id?: string;
  from?: Party;
  at?: string;
  body?: Body | string;
  agent?: Named | null;
  to?: { agent?: string | Named; group?: string } | null;
  reason?: string | null;
  note?: string | null;
  text?: string | null;
  score?: number;
  comment?: string | null;
}

export interface Me {
  kind: Kind;
  id: string;
  name: string | null;
  email?: string;
  role?: string;
  groups?: string[];
  capacity?: number;
  presence?: Presence;
}

export interface Limits {
  message_chars: number;
  upload_bytes: number;
  frame_bytes: number;
  history_max: number;
}

export interface Waiting {
  id: string;
  customer: Named;
  subject: string | null;
  since: string;
  state: SessionState;
}

export interface Marks {
  customer?: number;
  agent?: number;
}

export interface ReadyFrame {
  t: 'ready';
  me: Me;
  heartbeat_ms: number;
  sessions: Session[];
  limits?: Limits;
  reads?: Record<string, Marks>;
}

export type Ref = string | number;

/** What the server says. An unknown `t` is passed over, so that the server may add frames. */
export type ServerFrame =
  | ReadyFrame
  | ({ t: 'event' } & ChatEvent)
  | { t: 'ack'; ref: Ref; session: string; id: string; seq: number; at: string; repeat?: boolean }
  | { t: 'opened'; ref: Ref; session: Session }
  | { t: 'ok'; ref: Ref }
  | { t: 'events'; ref: Ref; session: string; events: ChatEvent[]; more: boolean }
  | { t: 'queue'; session: string; position: number; ahead: number; eta_ms?: number }
  | { t: 'assigned'; session: Session; customer: Named; events: ChatEvent[] }
  | { t: 'released'; session: string; reason: string }
  | { t: 'typing'; session: string; from: Party }
  | { t: 'read'; session: string; from: Party; seq: number }
  | { t: 'presence'; state: Presence; open: number; capacity: number }
  | { t: 'waiting'; group: string; count: number; sessions: Waiting[] }
  | { t: 'reset'; session: string }
  | { t: 'goaway'; reason: string; reconnect_ms: number }
  | { t: 'error'; ref?: Ref; code: string; message: string; retry_after_ms?: number }
  | { t: 'pong' };

export type Target = { agent: string } | { group: string };

export type ClientFrame =
  | { t: 'hello'; token: string; resume?: Record<string, number> }
  | { t: 'ping' }
  | { t: 'open'; group?: string; subject?: string; attributes?: Record<string, unknown> }
  | { t: 'say'; session: string; id: string; body: Body }
  | { t: 'typing'; session: string }
  | { t: 'read'; session: string; seq: number }
  | { t: 'presence'; state: Presence }
  | { t: 'transfer'; session: string; to: Target; note?: string }
  | { t: 'close'; session: string; reason?: string }
  | { t: 'history'; session: string; before?: number; limit?: number };

/** A request that changed nothing, or one whose outcome this side did not learn (`disconnected`, `timeout`). */
export class Refused extends Error {
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

const PASSING = new Set(['rate_limited', 'busy', 'unavailable', 'internal', 'disconnected', 'timeout']);

/** Whether the same request, sent again later, may well succeed. */
export function isPassing(code: string): boolean {
  return PASSING.has(code);
}

export function bodyText(body: Body | string | undefined): string {
  if (body === undefined) return '';
  if (typeof body === 'string') return body;
  switch (body.type) {
    case 'text':
      return body.text;
    case 'image':
    case 'file':
      return body.name;
    case 'card':
      return body.title;
    case 'event':
      return body.name;
    default:
      return '';
  }
}
