import { refusal, type Refusal } from '../core/errors.ts';
import type { EventOut } from '../protocol/session-view.ts';
import type { SessionState } from '../rules/session.ts';
import type { Reply } from './engine/types.ts';
import type { Peer } from './messages.ts';

/** Who waits for an event to be committed. A connection is told by the event itself, and only if it fails. */
export type Requester =
  { readonly peer: Peer; readonly id: string } | { readonly reply: Reply; readonly repeat: boolean };

export interface Pending {
  readonly event: EventOut;
  /** The state after it. */
  readonly state: SessionState;
  readonly requesters: Requester[];
  /** Answers that were decided on this event: to be given when it is in the database, or has failed for this reason. */
  readonly after: ((failed: Refusal | undefined) => void)[];
  /** Answers and effects of commands other than `say`. */
  readonly done: ((state: SessionState) => void) | undefined;
}

export const notFound = refusal('not_found', 'there is no such session, or you may not see it');
export const tooLong = refusal(
  'conflict',
  'this session holds as many messages as one may: close it and open another',
);
export const elsewhere = refusal('unavailable', 'this session has just moved; try again', 100);
export const journalGone = refusal(
  'unavailable',
  'nothing can be committed just now; try again with the same id',
  1000,
);
