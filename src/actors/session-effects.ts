import type { SessionState } from '../rules/session.ts';
import type { System } from './engine/types.ts';
import { agentKind, customerKind, queueKind, type WaitingEntry } from './messages.ts';

/** A session in its queue, as the queue keeps and shows it. */
export function waitingEntry(state: SessionState): WaitingEntry {
  return {
    session: state.id,
    priority: state.priority,
    since: state.waitingSince,
    target: state.target,
    lastAgent: state.lastAgent,
    view: {
      id: state.id,
      customer: state.customer,
      subject: state.subject,
      since: state.waitingSince,
      state: state.state,
    },
  };
}

/** Who has to know of a committed change of state. Each of them could also find out by itself, from the tables, if this is lost. */
export function afterCommit(
  system: System,
  type: string,
  before: SessionState | undefined,
  after: SessionState,
): void {
  const { id, lastSeq: seq } = after;
  const waited = before?.state === 'waiting' || before?.state === 'transferring';
  const holder = before?.state === 'chatting' ? before.agent : null;
  switch (type) {
    case 'opened':
    case 'retargeted':
      system.ref(queueKind, after.group).tell({ type: 'enqueue', entry: waitingEntry(after) });
      return;
    case 'assigned':
      system.ref(queueKind, after.group).tell({ type: 'dequeue', session: id, served: true });
      system.ref(agentKind, after.agent!.id).tell({ type: 'held', session: id, seq });
      return;
    case 'transferring':
      if (holder !== null)
        system.ref(agentKind, holder.id).tell({ type: 'gone', session: id, reason: 'transferred', seq });
      system.ref(queueKind, after.group).tell({ type: 'enqueue', entry: waitingEntry(after) });
      return;
    case 'closed':
      if (holder !== null)
        system.ref(agentKind, holder.id).tell({ type: 'gone', session: id, reason: 'closed', seq });
      if (waited) system.ref(queueKind, after.group).tell({ type: 'dequeue', session: id, served: false });
      system.ref(customerKind, after.customer.id).tell({ type: 'closed', session: id });
      return;
    default:
      return;
  }
}
