import { computed, signal } from '@preact/signals';
import type { ClusterEvent, ClusterReport } from '../../src/protocol/cluster-status.ts';
import { Api } from '../shared/api.ts';
import { Refused } from '../shared/protocol.ts';
import { forget, remembered, signIn, type SignedIn } from '../shared/sign-in.ts';

const base = new URL('.', location.href).href;
const everyMs = 1_000;
const timeoutMs = 4_000;
/** Nodes that are gone stay on the page for this long. */
const goneMs = 15 * 60_000;
/** Colours of nodes in cluster.css. */
const huesMax = 8;

export const who = signal<SignedIn | null>(remembered());
export const signedOut = signal(false);
export const forbidden = signal(false);
export const report = signal<ClusterReport | null>(null);
/** Since when it is not known how things are; null while it is. */
export const trouble = signal<{ since: number; code: string } | null>(null);
/** The shard that is pointed at. */
export const picked = signal<number | null>(null);
/** The node whose shards stand out. */
export const lit = signal<string | null>(null);
/** Shards that have just changed hands, and when. */
export const fresh = signal<ReadonlyMap<number, number>>(new Map());

type Went = Extract<ClusterEvent, { process: string }>;

/** Who is not here any more, and has not come back: the newest of each name. */
export const gone = computed<Went[]>(() => {
  const now = report.value;
  if (!now) return [];
  const here = new Set(now.members.map(({ node }) => node));
  const found: Went[] = [];
  for (const event of now.recent) {
    if ((event.kind !== 'lost' && event.kind !== 'left') || now.at - event.at > goneMs) continue;
    if (here.has(event.node)) continue;
    here.add(event.node);
    found.push(event);
  }
  return found;
});

const hues = new Map<string, number>();

/** A node's colour: by the order of names at first, and kept when others come and go. */
export function hueOf(node: string): number {
  return (hues.get(node) ?? 0) % huesMax;
}

function giveHues(now: ClusterReport): void {
  const names = [
    ...now.members.map(({ node }) => node),
    ...now.recent.flatMap((event) => (event.kind === 'moved' ? [event.to] : [event.node])),
  ];
  for (const name of [...new Set(names)].sort()) if (!hues.has(name)) hues.set(name, hues.size);
}

function markFresh(now: ClusterReport): void {
  const before = report.value;
  const moved = new Map([...fresh.value].filter(([, at]) => now.at - at < 4_000));
  for (const { shard, epoch, process } of now.shards) {
    const old = before?.shards[shard];
    if (old && process !== null && (old.epoch !== epoch || old.process !== process)) moved.set(shard, now.at);
  }
  fresh.value = moved;
}

let timer: ReturnType<typeof setTimeout> | undefined;
/** Of the newest question: an older one's answer is not shown. */
let round = 0;

async function ask(): Promise<void> {
  clearTimeout(timer);
  round += 1;
  const asked = round;
  const signedIn = who.value;
  if (!signedIn || forbidden.value || document.visibilityState === 'hidden') return;
  let failed: string | undefined;
  try {
    const now = await new Api(base, signedIn.token).cluster(timeoutMs);
    if (asked !== round) return;
    giveHues(now);
    markFresh(now);
    report.value = now;
  } catch (error) {
    // Whatever cuts an answer short is a lost network.
    failed = error instanceof Refused ? error.code : 'disconnected';
  }
  if (asked !== round) return;
  if (failed === 'unauthorized') return leave(true);
  forbidden.value = failed === 'forbidden';
  trouble.value = failed === undefined ? null : { since: trouble.value?.since ?? Date.now(), code: failed };
  timer = setTimeout(() => void ask(), everyMs);
}

export async function login(email: string, password: string): Promise<void> {
  who.value = await signIn(base, email, password);
  signedOut.value = false;
  void ask();
}

export function leave(unauthorized = false): void {
  forget();
  who.value = null;
  report.value = null;
  trouble.value = null;
  forbidden.value = false;
  signedOut.value = unauthorized;
}

/** Called once by main.tsx. */
export function start(): void {
  document.addEventListener('visibilitychange', () => void ask());
  void ask();
}
