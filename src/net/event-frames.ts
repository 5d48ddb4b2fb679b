import type { EventOut } from '../protocol/session-view.ts';
import { maySee, type SenderKind } from '../rules/session.ts';
import { encodeJsonText, type Codec } from './codec.ts';

/** The wire forms of a batch of events, each made once for all connections of a thread that need it. */
export class EventFrames {
  readonly events: readonly EventOut[];
  readonly #made = new Map<Codec, (string | Uint8Array)[]>();

  constructor(events: readonly EventOut[]) {
    this.events = events;
  }

  at(index: number, codec: Codec): string | Uint8Array {
    let list = this.#made.get(codec);
    if (list === undefined) this.#made.set(codec, (list = []));
    return (list[index] ??= encodeEvent(codec, this.events[index]!.json));
  }
}

function encodeEvent(codec: Codec, json: string): string | Uint8Array {
  const frame = `{"t":"event",${json.slice(1)}`;
  return codec.binary ? encodeJsonText(frame) : frame;
}

/** An event as this reader may see it; what it may not see keeps its place in the count. */
export function visibleEvent(event: EventOut, reader: SenderKind): object {
  const whole = JSON.parse(event.json) as { session: string; seq: number };
  if (maySee(event.type, reader)) return { t: 'event', ...whole };
  return { t: 'event', session: whole.session, seq: whole.seq, type: 'hidden' };
}
