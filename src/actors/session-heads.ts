import type { Context, ThreadId } from './engine/types.ts';
import type { SessionMessage } from './messages.ts';
import type { Subscribers } from './subscribers.ts';

/** After a change connections on other nodes are told how far the log goes, at these times. */
const tellAfterMs = [2_000, 10_000] as const;

/**
 * Heals the loss of a last event on its way to another node: nothing follows it that would show a gap. Who subscribes
 * there is told the newest seq a little later, and once more later still; it asks for what it lacks.
 */
export class SessionHeads {
  readonly #context: Context<SessionMessage>;
  readonly #subscribers: Subscribers;
  readonly #isFar: (thread: ThreadId) => boolean;
  #told: number = tellAfterMs.length;
  #timed = false;

  constructor(
    context: Context<SessionMessage>,
    subscribers: Subscribers,
    isFar: (thread: ThreadId) => boolean,
  ) {
    this.#context = context;
    this.#subscribers = subscribers;
    this.#isFar = isFar;
  }

  /** There are new events. */
  changed(): void {
    this.#told = 0;
    if (!this.#timed && this.#subscribers.some(this.#isFar)) this.#wait();
  }

  tell(head: number): void {
    this.#timed = false;
    const session = this.#context.key;
    this.#subscribers.tellAll((conns) => ({ type: 'head', session, conns, head }), this.#isFar);
    this.#told += 1;
    if (this.#told < tellAfterMs.length) this.#wait();
  }

  #wait(): void {
    this.#timed = true;
    this.#context.startTimer('heads', tellAfterMs[this.#told]!, { type: 'heads' });
  }
}
