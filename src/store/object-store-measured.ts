import { KefuError, type ErrorCode } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type {
  ObjectContent,
  ObjectInfo,
  ObjectRange,
  ObjectRead,
  ObjectStore,
  StoredObject,
} from './object-store.ts';

export type ObjectOperation = 'put' | 'get' | 'head' | 'delete' | 'list';

export interface ObjectObserver {
  /** An operation has ended: for `get` when its answer began. What fails in a body counts once more. */
  ended(operation: ObjectOperation, outcome: 'ok' | 'broken_off' | ErrorCode, ms: number): void;
  /** Put, or announced by an answer. */
  moved(operation: 'put' | 'get', bytes: number): void;
}

/** Any store, observed. */
export class MeasuredStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #observer: ObjectObserver;

  constructor(store: ObjectStore, clock: Clock, observer: ObjectObserver) {
    this.#store = store;
    this.#clock = clock;
    this.#observer = observer;
  }

  async put(
    key: string,
    content: ObjectContent,
    options: { readonly maxBytes: number },
  ): Promise<StoredObject> {
    const stored = await this.#measured('put', () => this.#store.put(key, content, options));
    this.#observer.moved('put', stored.size);
    return stored;
  }

  async get(key: string, range?: ObjectRange): Promise<ObjectRead> {
    const began = this.#clock.nowMs();
    const answer = await this.#measured('get', () => this.#store.get(key, range));
    const left = Math.max(0, answer.size - (range?.offset ?? 0));
    this.#observer.moved('get', Math.min(range?.length ?? left, left));
    answer.stream.once('error', () => this.#observer.ended('get', 'broken_off', this.#clock.nowMs() - began));
    return answer;
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#measured('head', () => this.#store.head(key));
  }

  delete(key: string): Promise<void> {
    return this.#measured('delete', () => this.#store.delete(key));
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const began = this.#clock.nowMs();
    try {
      yield* this.#store.list(prefix);
      this.#observer.ended('list', 'ok', this.#clock.nowMs() - began);
    } catch (error) {
      this.#observer.ended('list', outcomeOf(error), this.#clock.nowMs() - began);
      throw error;
    }
  }

  async #measured<T>(operation: ObjectOperation, work: () => Promise<T>): Promise<T> {
    const began = this.#clock.nowMs();
    try {
      const result = await work();
      this.#observer.ended(operation, 'ok', this.#clock.nowMs() - began);
      return result;
    } catch (error) {
      this.#observer.ended(operation, outcomeOf(error), this.#clock.nowMs() - began);
      throw error;
    }
  }
}

/** A content's own error is not the store's. */
function outcomeOf(error: unknown): ErrorCode {
  return error instanceof KefuError ? error.code : 'internal';
}
