import type { KefuError } from '../../core/errors.ts';
import type { Cell } from './cell.ts';
import type { Ref } from './types.ts';

/** What a ref needs of the system when the cell it knows is not there. */
export interface Post {
  /** The local cell of an address, made if need be; undefined: the address isn't this thread's, or the thread is closing. */
  cellFor(kind: string, key: string): Cell | undefined;
  tellFull(kind: string, key: string): false;
  tellAway(kind: string, key: string, message: unknown): boolean;
  ask(
    ref: ActorRef,
    message: unknown,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: KefuError) => void,
  ): void;
}

/**
 * An address. It remembers the local cell it found, so that a tell costs neither a look at the ring of owners nor
 * one into a map; a cell that is closed is looked up anew. A key that moves is sealed here first, which closes its cell.
 */
export class ActorRef implements Ref<unknown> {
  readonly kind: string;
  readonly key: string;
  readonly #post: Post;
  #cell: Cell | undefined = undefined;

  constructor(post: Post, kind: string, key: string) {
    this.#post = post;
    this.kind = kind;
    this.key = key;
  }

  tell(message: unknown): boolean {
    const cell = this.cell();
    if (cell === undefined) return this.#post.tellAway(this.kind, this.key, message);
    return cell.push(message, undefined) || this.#post.tellFull(this.kind, this.key);
  }

  ask<R>(message: unknown, timeoutMs: number): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      // The answer's type is what the sender says it is, as with any message that crossed a wire.
      this.#post.ask(this, message, timeoutMs, resolve as (value: unknown) => void, reject);
    });
  }

  cell(): Cell | undefined {
    if (this.#cell === undefined || this.#cell.closed) this.#cell = this.#post.cellFor(this.kind, this.key);
    return this.#cell;
  }
}
