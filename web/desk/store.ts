import { computed, effect, signal } from '@preact/signals';
import { Api } from '../shared/api.ts';
import { changed, version, type Chat } from '../shared/chat.ts';
import { ChatClient } from '../shared/client.ts';
import { BlobCache, Uploads } from '../shared/files.ts';
import { localStore, Outbox } from '../shared/outbox.ts';
import {
  Refused,
  type Me,
  type Presence,
  type ServerFrame,
  type SessionState,
  type Waiting,
} from '../shared/protocol.ts';
import type { SessionModel } from '../shared/session-model.ts';
import { forget, remembered, signIn } from '../shared/sign-in.ts';
import { chime } from '../shared/sound.ts';
import { errorText } from '../shared/words.ts';
import { systemLine } from './system-line.ts';
import { d } from './words.ts';

const PRESENCE = 'kefu:presence';
const base = new URL('.', location.href).href;

export type Tab = 'mine' | 'queue' | 'all' | 'search';
export const sessionStates: readonly SessionState[] = ['waiting', 'chatting', 'transferring', 'closed'];
/** Pages read to come to a message that was found; one that lies deeper is scrolled to by hand. */
const PAGES_MAX = 40;

export interface Desk extends Chat {
  agent: Me;
}

export const desk = signal<Desk | null>(null);
export const signedOut = signal(false);
export const tab = signal<Tab>('mine');
export const selected = signal<string | null>(null);
/** The message that the selected session is to be opened at; null: at its end. */
export const target = signal<{ session: string; seq: number } | null>(null);
export const filter = signal('');
export const waiting = signal<Record<string, { count: number; sessions: Waiting[] }>>({});
export const presence = signal<{ state: Presence; open: number; capacity: number }>({
  state: 'offline',
  open: 0,
  capacity: 0,
});
export const toast = signal('');
/** Which sheet lies over the page. */
export const sheet = signal<'help' | 'transfer' | 'close' | null>(null);
export const infoOpen = signal(matchMedia('(min-width: 1100px)').matches);
/** Ticks for the "3 min" of the lists. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 15_000);

const attentive = () => document.visibilityState !== 'hidden' && document.hasFocus();
export const focused = signal(attentive());
for (const name of ['focus', 'blur', 'visibilitychange']) {
  addEventListener(name, () => (focused.value = attentive()), true);
}

/** A session list's own sessions: what this agent holds, and the one on the screen even if it has gone. */
export const mine = computed<SessionModel[]>(() => {
  void version.value;
  const models = [...(desk.value?.client.models.values() ?? [])];
  const wanted = filter.value.trim().toLowerCase();
  return models
    .filter(
      (model) => (model.live && !model.closed) || (model.id === selected.value && model.released !== null),
    )
    .filter((model) => !wanted || text(model).includes(wanted))
    .sort((a, b) => activity(b) - activity(a));
});

function text(model: SessionModel): string {
  const body = model.lastMessage()?.body;
  const said = typeof body === 'object' && body.type === 'text' ? body.text : '';
  return `${model.session.customer.name ?? ''} ${model.id} ${model.session.subject ?? ''} ${said}`.toLowerCase();
}

function activity(model: SessionModel): number {
  return Date.parse(model.lastMessage()?.at ?? model.session.opened_at);
}

/** Since when the customer has had no answer; null when the last word was ours. */
export function unansweredSince(model: SessionModel): string | null {
  let since: string | null = null;
  for (let seq = model.log.head; seq >= model.log.first; seq -= 1) {
    const event = model.log.get(seq);
    if (event?.type !== 'message') continue;
    if (event.from?.kind !== 'customer') break;
    since = event.at ?? since;
  }
  return since;
}

export const current = computed<SessionModel | null>(() => {
  void version.value;
  return (selected.value && desk.value?.client.models.get(selected.value)) || null;
});

const unreadTotal = computed(() => {
  void version.value;
  const signedIn = desk.value;
  if (!signedIn) return 0;
  const side = { kind: signedIn.agent.kind, id: signedIn.agent.id };
  return [...signedIn.client.models.values()]
    .filter((model) => model.live && !model.closed)
    .reduce((sum, model) => sum + model.unread(side), 0);
});

export function waitingTotal(): number {
  return Object.values(waiting.value).reduce((sum, group) => sum + group.count, 0);
}

export async function select(id: string | null, seq?: number): Promise<void> {
  selected.value = id;
  target.value = null;
  const client = desk.value?.client;
  if (!id || !client) return;
  try {
    const model = await client.view(id);
    if (seq !== undefined) {
      let pages = 0;
      while (model.log.first > seq && pages < PAGES_MAX && (await client.older(model))) pages += 1;
      if (selected.value === id) target.value = { session: id, seq };
    }
  } catch (error) {
    complain(error);
    if (selected.value === id) selected.value = null;
  }
  changed();
}

/** The previous or next session of the list, round the ends. */
export function step(by: 1 | -1): void {
  const list = mine.value;
  if (list.length === 0) return;
  const index = list.findIndex((model) => model.id === selected.value);
  const next = index < 0 ? (by > 0 ? 0 : list.length - 1) : (index + by + list.length) % list.length;
  void select(list[next]!.id);
}

let toastTimer: ReturnType<typeof setTimeout> | undefined;
export function say(message: string): void {
  toast.value = message;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.value = ''), 5_000);
}

export function complain(error: unknown): void {
  say(errorText(error instanceof Refused ? error.code : 'other'));
}

export async function setPresence(state: Presence): Promise<void> {
  sessionStorage.setItem(PRESENCE, state);
  presence.value = { ...presence.value, state };
  try {
    await desk.value?.client.connection.request({ t: 'presence', state }, 'ok');
  } catch (error) {
    // Not connected: `ready` sends what is wanted.
    if (!(error instanceof Refused && error.code === 'disconnected')) complain(error);
  }
}

function take(client: ChatClient, frame: ServerFrame): void {
  switch (frame.t) {
    case 'ready':
      void setPresence((sessionStorage.getItem(PRESENCE) as Presence | null) ?? 'online');
      for (const model of client.models.values())
        if (model.live && !model.lastMessage()) void client.older(model);
      break;
    case 'presence':
      presence.value = { state: frame.state, open: frame.open, capacity: frame.capacity };
      break;
    case 'waiting':
      waiting.value = { ...waiting.value, [frame.group]: { count: frame.count, sessions: frame.sessions } };
      break;
    case 'assigned':
      chime();
      break;
    default:
      break;
  }
}

function enter(agent: Me, token: string): void {
  const api = new Api(base, token);
  const client: ChatClient = new ChatClient({
    base,
    api,
    outbox: new Outbox(agent.id, localStore()),
    hooks: {
      changed,
      arrived: (model, event) => {
        const seen = focused.value && model.id === selected.value;
        if (event.type === 'message' && event.from?.kind === 'customer' && !seen) chime();
      },
      frame: (frame) => {
        take(client, frame);
        if (frame.t === 'ready') uploads.connected();
      },
      stopped: (reason) => {
        if (reason === 'unauthorized') leave(true);
      },
    },
  });
  const uploads = new Uploads(api, client, changed);
  desk.value = { agent, api, client, blobs: new BlobCache(api), uploads, systemLine, reopens: false };
  client.connection.start();
}

export async function login(email: string, password: string): Promise<void> {
  const { agent, token } = await signIn(base, email, password);
  sessionStorage.setItem(PRESENCE, 'online');
  signedOut.value = false;
  enter(agent, token);
}

export function leave(unauthorized = false): void {
  const signedIn = desk.value;
  desk.value = null;
  selected.value = null;
  waiting.value = {};
  signedOut.value = unauthorized;
  forget();
  if (!unauthorized) {
    signedIn?.client.connection.send({ t: 'presence', state: 'offline' });
    signedIn?.client.connection.stop('left');
  }
}

/** Called once by main.tsx. */
export function start(): void {
  const known = remembered();
  if (known) enter(known.agent, known.token);
  effect(() => {
    const count = unreadTotal.value;
    document.title = count > 0 && desk.value ? `(${count}) ${d('title')}` : d('title');
  });
}
