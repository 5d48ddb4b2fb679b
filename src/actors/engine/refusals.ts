import { refusal } from '../../core/errors.ts';

/** What the engine itself answers an ask with. All but `crashed` can be retried. */

export const busy = refusal('busy', 'too many messages or asks are waiting already; ask again later');
export const crashed = refusal('internal', 'the actor failed at this message; it has been logged');
export const stopped = refusal('unavailable', 'the actor stopped before it came to this message; ask again');
export const moved = refusal('unavailable', 'the actor has moved to another thread; ask again');
export const notHere = refusal('unavailable', 'the actor is not on this thread; ask again');
export const notKnown = refusal(
  'unavailable',
  'the actor’s node is of another version and does not know this; ask again',
);
export const closing = refusal('unavailable', 'this thread is shutting down; ask again');
export const linkDown = refusal('unavailable', 'the thread that has the actor can not be reached; ask again');
/** Not a refusal: the ask may have been acted on. */
export const threadGone = 'the thread that was asked is gone; whether it acted is not known';
