import { setPriority } from 'node:os';
import type { Encoded, Measured, SegmentTask } from './segment-pool.ts';
import {
  decodeBlock,
  digestOf,
  encodeBlock,
  inspectSegment,
  type Dictionary,
  type Inspection,
  type SegmentEntry,
} from './segment.ts';

// Chats come first. Linux has a priority for each thread; elsewhere this would be the whole process's.
if (process.platform === 'linux') setPriority(19);

/** What a thread of the pool does; called by piscina. */
export default function segmentTask(task: SegmentTask): Encoded[] | Measured[] | Inspection {
  if (task.type === 'encode')
    return task.sessions.map(({ session, events }) => ({
      block: encodeBlock(session, events, task.dictionary),
      digest: digestOf(events),
      raw: bytesOf(events),
    }));
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

function bytesOf(events: readonly string[]): number {
  return events.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function measure(
  content: Uint8Array,
  entry: SegmentEntry,
  dictionaries: ReadonlyMap<string, Dictionary>,
): Measured {
  try {
    const block = content.subarray(entry.place, entry.place + entry.length);
    const events = decodeBlock(entry, block, (id) => dictionaries.get(id));
    return { digest: digestOf(events), events: events.length, raw: bytesOf(events) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
