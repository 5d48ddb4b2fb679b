import { signal } from '@preact/signals';
import type { Api } from './api.ts';
import type { ChatClient } from './client.ts';
import type { BlobCache, Uploads } from './files.ts';
import type { ChatEvent } from './protocol.ts';

/** What the shared parts (timeline, composer) need of the page they stand in. */
export interface Chat {
  api: Api;
  client: ChatClient;
  blobs: BlobCache;
  uploads: Uploads;
  /** The line that stands for a change of state, or null where this reader need not know. */
  systemLine(event: ChatEvent): string | null;
  /** Whether a failed message may be tried again in a new session, because its own has ended. */
  reopens: boolean;
}

/**
 * Counts what has changed in the client, at most once a turn: components read it and then read the client's plain
 * objects. One signal for all, because a burst of resumed events must cost one rendering, not hundreds.
 */
export const version = signal(0);

let due = false;
export function changed(): void {
  if (due) return;
  due = true;
  // A frame callback would stand still in a hidden tab, and with it the unread count in the title.
  setTimeout(() => {
    due = false;
    version.value += 1;
  }, 0);
}

/** The picture shown large, or null. */
export const lightbox = signal<{ src: string; name: string } | null>(null);
