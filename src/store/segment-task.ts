import type { Measured, SegmentTask } from './segment-pool.ts';
import {
  decodeBlock,
  digestOf,
  encodeBlock,
  inspectSegment,
  type Dictionary,
  type Inspection,
  type SegmentEntry,
} from './segment.ts';

/** What a thread of the pool does; called by piscina. */
export default function segmentTask(task: SegmentTask): Uint8Array[] | Measured[] | Inspection {
  if (task.type === 'encode')
    return task.sessions.map(({ session, events }) => encodeBlock(session, events, task.dictionary));
  if (task.type === 'measure') {
    const dictionaries = new Map(task.dictionaries.map((it) => [it.id, it]));
    return task.entries.map((entry) => measure(task.content, entry, dictionaries));
  }
  const different: string[] = [];
  const { sound, problems } = inspectSegment(task.content, ({ session, place }, events) => {
    const digest = task.digests.get(session);
    if (digest !== undefined && digest !== digestOf(events))
      different.push(`session ${session} at byte ${place} does not hold what was given`);
  });
  return { sound, problems: [...problems, ...different] };
}

function measure(
  content: Uint8Array,
  entry: SegmentEntry,
  dictionaries: ReadonlyMap<string, Dictionary>,
): Measured {
  try {
    const block = content.subarray(entry.place, entry.place + entry.length);
    const events = decodeBlock(entry, block, (id) => dictionaries.get(id));
    const raw = events.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    return { digest: digestOf(events), events: events.length, raw };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
