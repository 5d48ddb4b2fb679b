import type { SessionState } from '../rules/session.ts';

/** RFC 3339 UTC with milliseconds; the last one is kept, since a busy thread asks for one millisecond many times. */
let lastMs = Number.NaN;
let lastText = '';
export function timeText(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastText;
}

/** A session as the contract shows it: `{id, state, customer, agent|null, group, …, last_seq}`. */
export interface SessionView {
  readonly id: string;
  readonly state: string;
  readonly customer: { readonly id: string; readonly name: string };
  readonly agent: { readonly id: string; readonly name: string } | null;
  readonly group: string;
  readonly channel: string;
  readonly subject: string | null;
  readonly attributes: unknown;
  readonly opened_at: string;
  readonly closed_at: string | null;
  readonly last_seq: number;
  /** The customer's session before this one. */
  readonly previous: string | null;
}

export function viewOf(state: SessionState): SessionView {
  return {
    id: state.id,
    state: state.state,
    customer: state.customer,
    agent: state.agent,
    group: state.group,
    channel: state.channel,
    subject: state.subject,
    attributes: state.attributes,
    opened_at: timeText(state.openedAt),
    closed_at: state.closedAt === null ? null : timeText(state.closedAt),
    last_seq: state.lastSeq,
    previous: state.previous,
  };
}

/**
 * An event on its way to readers. `json` is its wire form without the leading `"t":"event"`, made once: the journal
 * stores it, the history keeps it, and every JSON connection gets it unchanged.
 */
export interface EventOut {
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  /** Who sent it, and the id the client chose: what the sender's own connection turns into an ack. */
  readonly sender: string;
  readonly id: string;
  readonly json: string;
}
