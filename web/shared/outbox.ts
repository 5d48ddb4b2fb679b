import type { Body } from './protocol.ts';

const ITEMS_MAX = 200;

export interface OutboxItem {
  /** Chosen here and kept through every retry: the server makes one event of however many tries. */
  id: string;
  /** Null until the session that it opens has an id. */
  session: string | null;
  body: Body;
  at: string;
  /** The code of a refusal that no retry will cure; the person decides what becomes of the message. */
  failed?: string;
}

/**
 * What was written and is not acknowledged yet. It outlives the page: one storage key an item, so that two tabs of
 * one customer never overwrite each other's lists (both may send an item; the id makes that harmless).
 * At most 200 items; a full outbox refuses, and the writer keeps the text.
 */
export class Outbox {
  items: OutboxItem[] = [];
  readonly #prefix: string;
  readonly #storage: Storage | null;

  constructor(owner: string, storage: Storage | null) {
    this.#prefix = `kefu:outbox:${owner}:`;
    this.#storage = storage;
    this.#load();
  }

  #load(): void {
    const storage = this.#storage;
    if (!storage) return;
    for (let index = 0; index < storage.length; index += 1) {
      const key = storage.key(index);
      if (!key?.startsWith(this.#prefix)) continue;
      try {
        this.items.push(JSON.parse(storage.getItem(key) ?? '') as OutboxItem);
      } catch {
        // A half-written item of a browser that was killed: there is nothing in it to send.
      }
    }
    this.items.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  add(item: OutboxItem): boolean {
    if (this.items.length >= ITEMS_MAX) return false;
    this.items.push(item);
    this.#save(item);
    return true;
  }

  update(item: OutboxItem): void {
    this.#save(item);
  }

  remove(id: string): OutboxItem | undefined {
    const index = this.items.findIndex((item) => item.id === id);
    if (index < 0) return undefined;
    const [item] = this.items.splice(index, 1);
    try {
      this.#storage?.removeItem(this.#prefix + id);
    } catch {
      // Blocked storage: the item was never kept there either.
    }
    return item;
  }

  #save(item: OutboxItem): void {
    try {
      this.#storage?.setItem(this.#prefix + item.id, JSON.stringify(item));
    } catch {
      // Full or forbidden storage costs only the message's survival of a reload.
    }
  }
}

/** The browser's storage, or null where the person or a frame's policy forbids it (reading it alone may throw). */
export function localStore(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
