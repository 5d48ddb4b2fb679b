import { toRefusal } from '../core/errors.ts';
import type { EventOut } from '../protocol/session-view.ts';
import type { Reply } from './engine/types.ts';
import type { HistoryPage, SessionMessage } from './messages.ts';
import type { History } from './ports.ts';

/** Answers with a page of a session's events, from whichever tier holds them; the mailbox does not wait for it. */
export function answerHistory(
  { history, pageMax }: { readonly history: History; readonly pageMax: number },
  session: string,
  lastSeq: number,
  message: Extract<SessionMessage, { type: 'history' }>,
  reply: Reply | undefined,
): void {
  const limit = Math.min(message.limit, pageMax);
  const upTo = message.before === undefined ? lastSeq : Math.min(lastSeq, message.before - 1);
  const backwards = message.after === undefined;
  const after = message.after ?? Math.max(0, upTo - limit);
  if (after >= upTo) {
    reply?.ok({ events: [], more: false } satisfies HistoryPage);
    return;
  }
  const answer = (events: readonly EventOut[]): void => {
    const more = backwards ? after > 0 : after + events.length < upTo;
    reply?.ok({ events, more } satisfies HistoryPage);
  };
  const events = history.range(session, after, upTo, limit);
  if (!(events instanceof Promise)) return answer(events);
  void events.then(answer, (error: unknown) => reply?.fail(toRefusal(error)));
}
