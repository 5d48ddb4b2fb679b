import { Packr } from 'msgpackr';
import { messageEvent } from '../../src/actors/session-events.ts';
import { timeText, type EventOut } from '../../src/protocol/session-view.ts';
import { talkSessions } from '../history/talk-data.ts';

/** Frames of one kind of text, in every form that something is measured on. */
export interface Frames {
  /** Of the texts: what they are. */
  readonly name: string;
  readonly texts: readonly string[];
  /** What a customer sends, as the socket hands it over. */
  readonly says: { readonly json: readonly ArrayBuffer[]; readonly msgpack: readonly ArrayBuffer[] };
  /** What the session makes of it. */
  readonly made: readonly Made[];
  readonly events: readonly EventOut[];
  /** The same as objects, for the plain libraries. */
  readonly eventObjects: readonly object[];
  readonly acks: readonly object[];
}

export interface Made {
  readonly session: string;
  readonly seq: number;
  readonly at: number;
  readonly from: { readonly kind: string; readonly id: string; readonly name: string };
  /** `from` as it stands ready in the session's actor. */
  readonly fromJson: string;
  readonly id: string;
  readonly body: { readonly type: 'text'; readonly text: string };
}

/** Enough different ones that no parser meets the same twice in a row. */
const count = 512;
const longChars = { en: 1000, zh: 400 } as const;
const packr = new Packr({ useRecords: false });

/** Retail talk from a fixed seed: lines as people type them, and several of them joined. */
export function makeFrames(): readonly Frames[] {
  const lines = { en: [] as string[], zh: [] as string[] };
  for (const { language, events } of talkSessions({ seed: 11, sessions: 600 }))
    for (const { json } of events) {
      const { body } = JSON.parse(json) as { body?: { text?: string } };
      if (body?.text !== undefined) lines[language].push(body.text);
    }
  return (['en', 'zh'] as const).flatMap((language) => {
    const name = language === 'en' ? 'English' : 'Chinese';
    const all = lines[language];
    const short = all.slice(0, count);
    const long = short.map((_, index) => joined(all, index * 3, longChars[language]));
    return [framesOf(`${name} line`, short), framesOf(`${name}, long`, long)];
  });
}

function joined(lines: readonly string[], from: number, chars: number): string {
  let text = '';
  for (let index = from; text.length < chars; index += 1) text += `${lines[index % lines.length]!}\n`;
  return text.slice(0, chars).toWellFormed();
}

function framesOf(name: string, texts: readonly string[]): Frames {
  const made = texts.map((text, index): Made => {
    const from = { kind: 'customer', id: idOf(index, 1), name: 'Ada Lovelace' };
    return {
      session: idOf(index, 2),
      seq: 1 + (index % 40),
      at: 1_760_000_000_000 + index * 1000,
      from,
      fromJson: JSON.stringify(from),
      id: idOf(index, 3),
      body: { type: 'text', text },
    };
  });
  const events = made.map((it) =>
    messageEvent(it.session, it.seq, it.at, it.from.id, it.fromJson, it.id, it.body),
  );
  const says = made.map(({ session, id, body }, ref) => ({ t: 'say', ref, session, id, body: body.text }));
  return {
    name,
    texts,
    says: {
      json: says.map((say) => bytesOf(Buffer.from(JSON.stringify(say)))),
      msgpack: says.map((say) => bytesOf(packr.pack(say))),
    },
    made,
    events,
    eventObjects: events.map(({ json }) => ({ t: 'event', ...(JSON.parse(json) as object) })),
    acks: made.map(({ session, id, seq, at }, ref) => ({
      t: 'ack',
      ref,
      session,
      id,
      seq,
      at: timeText(at),
    })),
  };
}

/** As uWebSockets.js gives it: memory of its own, from its beginning. */
function bytesOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function idOf(index: number, kind: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(0x0192_0000 + index * 7919, 8)}-${hex(index, 4)}-7${hex(kind, 3)}-8${hex(index % 4096, 3)}-${hex(index * 104_729, 12)}`;
}
