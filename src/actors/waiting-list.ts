import { compareWaiting } from '../rules/assignment.ts';
import type { WaitingEntry } from './messages.ts';

export interface WaitingItem {
  readonly entry: WaitingEntry;
  /** When it came here, on the monotonic clock. */
  readonly addedMs: number;
  /** The position its customer was last told; 0: none. */
  told: number;
  /** The agent it is being given to just now. */
  agent: string | undefined;
  /** Not tried again before the next tick: its last try had no clear end. */
  resting: boolean;
}

/** Who waits, in the rules' order: an array found by binary search, since most come at its end and leave at its front. */
export class WaitingList {
  readonly max: number;
  readonly items: WaitingItem[] = [];
  readonly #byId = new Map<string, WaitingItem>();

  constructor(max: number) {
    this.max = max;
  }

  get(session: string): WaitingItem | undefined {
    return this.#byId.get(session);
  }

  /** Adds it, or puts it at its new place; undefined when the list is full. */
  put(entry: WaitingEntry, nowMs: number): WaitingItem | undefined {
    const old = this.remove(entry.session);
    if (this.items.length >= this.max) return undefined;
    const item: WaitingItem = {
      entry,
      addedMs: nowMs,
      told: old?.told ?? 0,
      agent: old?.agent,
      resting: false,
    };
    this.items.splice(this.place(entry), 0, item);
    this.#byId.set(entry.session, item);
    return item;
  }

  remove(session: string): WaitingItem | undefined {
    const item = this.#byId.get(session);
    if (item === undefined) return undefined;
    this.#byId.delete(session);
    this.items.splice(this.place(item.entry), 1);
    return item;
  }

  /** The index of the first one that is not served before `entry`: where it stands, or would. */
  place(entry: WaitingEntry): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareWaiting(this.items[middle]!.entry, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
