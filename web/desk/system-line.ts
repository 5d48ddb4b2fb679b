import { nameOf } from '../shared/format.ts';
import type { ChatEvent } from '../shared/protocol.ts';
import { d } from './words.ts';

/** A change of state as an agent reads it. */
export function systemLine(event: ChatEvent): string | null {
  const name = nameOf(event.from);
  switch (event.type) {
    case 'opened':
      return d('opened', { name });
    case 'assigned':
      return d('assigned', { name: nameOf(event.agent) });
    case 'transferring': {
      if (event.from?.kind === 'system') return d('requeued');
      const group = event.to?.group;
      return group ? d('movedGroup', { from: name, group }) : d('movedAgent', { from: name });
    }
    case 'closed':
      return event.from && event.from.kind !== 'system' ? d('closedBy', { name }) : d('closedSystem');
    case 'rated': {
      const score = event.score ?? 0;
      const stars = '★'.repeat(score) + '☆'.repeat(5 - score);
      return d('rated', { stars }) + (event.comment ? ` — ${event.comment}` : '');
    }
    default:
      return null;
  }
}
