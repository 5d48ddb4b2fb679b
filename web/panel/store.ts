import { computed, effect, signal } from '@preact/signals';
import { Api } from '../shared/api.ts';
import { changed, version, type Chat } from '../shared/chat.ts';
import { ChatClient } from '../shared/client.ts';
import { BlobCache, Uploads } from '../shared/files.ts';
import { nameOf } from '../shared/format.ts';
import { lang } from '../shared/i18n.ts';
import { localStore, Outbox } from '../shared/outbox.ts';
import { Refused, type ChatEvent } from '../shared/protocol.ts';
import type { SessionModel } from '../shared/session-model.ts';
import { chime } from '../shared/sound.ts';
import { embedded, listen, option, post, type HostPage } from './host.ts';
import { p } from './words.ts';

const VISITOR = 'kefu:visitor';
const LAST = 'kefu:last';
const storage = localStore();
export const base = new URL('.', location.href).href;

/** The panel is open on the page; a closed one stays connected, for the badge. */
export const visible = signal(!embedded);
const current = signal<string | null>(null);
let page: HostPage = {};

function load<T>(key: string): T | null {
  try {
    return JSON.parse(storage?.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

function save(key: string, value: unknown): void {
  try {
    if (value === null) storage?.removeItem(key);
    else storage?.setItem(key, JSON.stringify(value));
  } catch {
    // Forbidden storage: this visit works, the next one starts anew.
  }
}

interface Last {
  session: string;
  seq: number;
}

const last = load<Last>(LAST);
const api = new Api(base, load<{ token: string }>(VISITOR)?.token);

function attributes(): Record<string, unknown> {
  const extra = parseAttributes(option('attributes'));
  return {
    ...extra,
    language: lang,
    ...(page.url && { page: page.url }),
    ...(page.title && { title: page.title }),
  };
}

function parseAttributes(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const client: ChatClient = new ChatClient({
  base,
  api,
  outbox: new Outbox('visitor', storage),
  remembered: last ? { [last.session]: last.seq } : {},
  opening: () => {
    const group = option('group');
    const subject = option('subject');
    return { ...(group && { group }), ...(subject && { subject }), attributes: attributes() };
  },
  hooks: {
    changed,
    arrived: (model, event) => {
      if (event.type === 'message' && event.from?.id !== client.me?.id && !watching.value) {
        if (model.unread({ kind: 'customer', id: client.me?.id ?? '' }) > 0) chime();
      }
    },
    frame: (frame) => {
      if (frame.t === 'ready') void settle();
      if (frame.t === 'opened') current.value = frame.session.id;
      if (frame.t === 'ready') chat.uploads.connected();
    },
    stopped: (reason) => {
      if (reason === 'unauthorized') void newVisitor();
    },
  },
});

export const chat: Chat = {
  api,
  client,
  blobs: new BlobCache(api),
  uploads: new Uploads(api, client, changed),
  systemLine,
  reopens: true,
};

export const model = computed<SessionModel | null>(() => {
  void version.value;
  return (current.value && client.models.get(current.value)) || null;
});

const documentVisible = signal(document.visibilityState !== 'hidden');
document.addEventListener('visibilitychange', () => {
  documentVisible.value = document.visibilityState !== 'hidden';
});
export const watching = computed(() => visible.value && documentVisible.value);

function systemLine(event: ChatEvent): string | null {
  switch (event.type) {
    case 'assigned':
      return p('joined', { name: nameOf(event.agent) });
    case 'transferring':
      return event.reason && event.reason !== 'transfer' ? p('requeued') : p('transferring');
    case 'closed':
      return event.from?.kind === 'customer' ? p('endedByYou') : p('ended');
    case 'rated':
      return p('youRated', { stars: '★'.repeat(event.score ?? 0) + '☆'.repeat(5 - (event.score ?? 0)) });
    default:
      return null;
  }
}

/** After each `ready`: which conversation to show. The open one; else the last one, so that its end can be read. */
async function settle(): Promise<void> {
  const open = [...client.models.values()].find((each) => each.live && !each.closed);
  if (open) {
    current.value = open.id;
    if (open.log.first > 1) await client.older(open);
    return;
  }
  if (current.value || !last) return;
  try {
    current.value = (await client.view(last.session)).id;
  } catch {
    save(LAST, null);
  }
  changed();
}

export function startNew(): void {
  current.value = null;
  save(LAST, null);
}

export function say(text: string): boolean {
  const session = model.value && !model.value.closed ? model.value.id : null;
  return client.say(session, { type: 'text', text });
}

export function sendFiles(files: File[]): void {
  const session = model.value && !model.value.closed ? model.value.id : null;
  for (const file of files) chat.uploads.add(session, file);
}

/** A token that the server no longer knows (a new database): be somebody new, and keep what was written. */
async function newVisitor(): Promise<void> {
  api.token = '';
  save(VISITOR, null);
  save(LAST, null);
  client.models.clear();
  current.value = null;
  for (const item of client.outbox.items) {
    item.session = null;
    client.outbox.update(item);
  }
  await begin();
}

async function begin(): Promise<void> {
  for (let tries = 0; !api.token; tries += 1) {
    try {
      const name = option('name');
      const about = { channel: 'web', ...(name && { name }), attributes: attributes() };
      const { token } = await api.visitor(about);
      // Another tab of the same browser may have been faster; then both are that visitor.
      api.token = load<{ token: string }>(VISITOR)?.token ?? token;
      save(VISITOR, { token: api.token });
    } catch (error) {
      const asked = error instanceof Refused ? error.retryAfterMs : undefined;
      const waitMs = asked ?? Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
      await new Promise((done) => setTimeout(done, waitMs));
    }
  }
  client.connection.start();
}

/** Called once by main.tsx. */
export function start(): void {
  let begun = false;
  const beginOnce = () => {
    if (!begun) void begin();
    begun = true;
  };
  listen((message) => {
    if (message.type === 'open') {
      page = message.page ?? page;
      visible.value = true;
      beginOnce();
    } else if (message.type === 'close') visible.value = false;
  });
  // A frame that was only preloaded makes no visitor; one with a conversation connects for its badge.
  if (!embedded || api.token) beginOnce();
  effect(() => {
    const shown = model.value;
    if (shown && !shown.closed) save(LAST, { session: shown.id, seq: shown.log.head });
    else if (shown) save(LAST, { session: shown.id, seq: shown.session.last_seq });
    post({ type: 'session', open: shown !== null && !shown.closed });
    const me = client.me;
    const unread = shown && me && !watching.value ? shown.unread(me) : 0;
    post({ type: 'unread', count: unread });
  });
  post({ type: 'ready' });
}
