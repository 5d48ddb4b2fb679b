import type { Chat } from './chat.ts';
import { dayName, nameOf } from './format.ts';
import type { Bubble } from './message.tsx';
import type { ChatEvent } from './protocol.ts';
import type { SessionModel } from './session-model.ts';

const RUN_MS = 4 * 60_000;

export type Row =
  | { kind: 'day'; key: string; text: string }
  | { kind: 'system'; key: string; text: string; at: string }
  | { kind: 'note'; key: string; event: ChatEvent }
  | { kind: 'bubble'; key: string; bubble: Bubble };

/** The rows of the events from…to of one session. Hidden events and those the page has no word for make none. */
export function eventRows(chat: Chat, model: SessionModel, from: number, to: number): Row[] {
  const events: ChatEvent[] = [];
  for (let seq = from; seq <= to; seq += 1) {
    const event = model.log.get(seq);
    if (event) events.push(event);
  }
  const readTo = chat.client.me?.kind === 'customer' ? model.reads.agent : model.reads.customer;
  return rowsOf(chat, events, readTo, '');
}

/** The rows of earlier sessions’ events, in order. Their seqs begin anew in each, so their keys bear the session. */
export function earlierRows(chat: Chat, events: readonly ChatEvent[]): Row[] {
  const rows: Row[] = [];
  for (let from = 0, to = 0; from < events.length; from = to) {
    const { session } = events[from]!;
    while (events[to]?.session === session) to += 1;
    rows.push(...rowsOf(chat, events.slice(from, to), Infinity, `${session}:`));
  }
  return rows;
}

function rowsOf(chat: Chat, events: readonly ChatEvent[], readTo: number, prefix: string): Row[] {
  const rows: Row[] = [];
  let day = '';
  for (const event of events) {
    if (event.type === 'hidden' || !event.at) continue;
    const row = eventRow(chat, event, readTo, prefix);
    if (!row) continue;
    const name = dayName(event.at);
    if (name !== day) rows.push({ kind: 'day', key: `${prefix}d${event.seq}`, text: name });
    day = name;
    rows.push(row);
  }
  return rows;
}

function eventRow(chat: Chat, event: ChatEvent, readTo: number, prefix: string): Row | null {
  const key = `${prefix}s${event.seq}`;
  if (event.type === 'note') return { kind: 'note', key, event };
  if (event.type === 'message') {
    const bubble = eventBubble(chat, event, readTo, prefix);
    return { kind: 'bubble', key, bubble: prefix === '' ? { ...bubble, seq: event.seq } : bubble };
  }
  const text = chat.systemLine(event);
  return text === null ? null : { kind: 'system', key, text, at: event.at ?? '' };
}

function eventBubble(chat: Chat, event: ChatEvent, readTo: number, prefix: string): Bubble {
  const me = chat.client.me;
  const from = event.from;
  // All agents stand on the desk's side, whoever of them wrote: a transferred session reads as one conversation.
  const mine = me?.kind === 'customer' ? from?.kind === 'customer' : from?.kind !== 'customer';
  const own = from?.id === me?.id;
  return {
    key: event.id ? `${prefix}m${event.id}` : `${prefix}s${event.seq}`,
    mine,
    named: !own,
    from: { id: from?.id ?? '', name: nameOf(from) },
    bot: from?.kind === 'bot',
    at: event.at ?? null,
    body: event.body ?? '',
    tick: mine ? (event.seq <= readTo ? 'read' : 'sent') : null,
    starts: true,
    ends: true,
  };
}

/** What is not in the log yet: the outbox and the files on their way up, in the order they were written. */
export function pendingRows(chat: Chat, session: string | null): Row[] {
  const me = chat.client.me;
  const from = { id: me?.id ?? '', name: nameOf(me) };
  const base = { mine: true, named: false, from, bot: false, at: null, starts: true, ends: true };
  const rows: { id: string; row: Row }[] = [];
  for (const item of chat.client.outbox.items) {
    if (item.session !== session && item.session !== null) continue;
    const bubble: Bubble = {
      ...base,
      key: `m${item.id}`,
      body: item.body,
      at: item.at,
      tick: item.failed ? 'failed' : 'sending',
      ...(item.failed && { error: item.failed }),
      retry: () =>
        chat.client.retry(item, chat.reopens && item.failed === 'invalid_transition' ? null : item.session),
      discard: () => chat.client.discard(item),
    };
    rows.push({ id: item.id, row: { kind: 'bubble', key: bubble.key, bubble } });
  }
  for (const upload of chat.uploads.items) {
    if (upload.session !== session && upload.session !== null) continue;
    const type = upload.file.type.startsWith('image/') ? 'image' : 'file';
    const { name, file } = upload;
    const bubble: Bubble = {
      ...base,
      key: `u${upload.id}`,
      body: { type, url: '', name, mime: file.type, size: file.size },
      tick: upload.failed ? 'failed' : 'sending',
      uploading: true,
      ...(upload.failed && { error: upload.failed }),
      retry: () => chat.uploads.retry(upload),
      discard: () => chat.uploads.discard(upload),
    };
    rows.push({ id: upload.id, row: { kind: 'bubble', key: bubble.key, bubble } });
  }
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1)).map((entry) => entry.row);
}

/** Joins the bubbles of one sender that follow each other closely: one name, one avatar, one time. */
export function group(rows: readonly Row[]): readonly Row[] {
  let previous: Bubble | null = null;
  for (const row of rows) {
    if (row.kind !== 'bubble') {
      previous = null;
      continue;
    }
    const bubble = row.bubble;
    if (previous && follows(previous, bubble)) {
      previous.ends = false;
      bubble.starts = false;
    }
    previous = bubble;
  }
  return rows;
}

function follows(a: Bubble, b: Bubble): boolean {
  if (a.mine !== b.mine || a.from.id !== b.from.id || a.tick === 'failed') return false;
  return !a.at || !b.at || Date.parse(b.at) - Date.parse(a.at) < RUN_MS;
}
