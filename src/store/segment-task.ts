import type { SegmentTask } from './segment-pool.ts';
import { digestOf, encodeBlock, inspectSegment, type Inspection } from './segment.ts';

/** What a thread of the pool does; called by piscina. */
export default function segmentTask(task: SegmentTask): Uint8Array[] | Inspection {
  if (task.type === 'encode')
    return task.sessions.map(({ session, events }) => encodeBlock(session, events, task.dictionary));
  const different: string[] = [];
  const { sound, problems } = inspectSegment(task.content, ({ session, place }, events) => {
    const digest = task.digests.get(session);
    if (digest !== undefined && digest !== digestOf(events))
      different.push(`session ${session} at byte ${place} does not hold what was given`);
  });
  return { sound, problems: [...problems, ...different] };
}
