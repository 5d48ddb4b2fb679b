import { Piscina } from 'piscina';
import type { Dictionary, Inspection, SegmentEntry } from './segment.ts';

export interface SessionTexts {
  readonly session: string;
  /** The events' JSON, from seq 1 on. */
  readonly events: readonly string[];
}

export type SegmentTask =
  | {
      readonly type: 'encode';
      readonly sessions: readonly SessionTexts[];
      readonly dictionary: Dictionary | undefined;
    }
  | {
      readonly type: 'measure';
      readonly content: Uint8Array;
      readonly entries: readonly SegmentEntry[];
      readonly dictionaries: readonly Dictionary[];
    }
  | { readonly type: 'inspect'; readonly content: Uint8Array; readonly digests: ReadonlyMap<string, string> };

/** A session's block, and what it was made of. */
export interface Encoded {
  readonly block: Uint8Array;
  readonly digest: string;
  /** Bytes of the JSON. */
  readonly raw: number;
}

/** What a block holds, or why it can't be read. */
export type Measured =
  { readonly digest: string; readonly events: number; readonly raw: number } | { readonly problem: string };

/**
 * Compressing and checking burn CPU: threads of their own do it, after everybody else, and end when there is nothing to do
 * for a while.
 */
export class SegmentPool {
  readonly #pool: Piscina;

  /** `threads`: at most so many; tasks beyond wait, `queueMax` of them. */
  constructor(threads: number, queueMax = 64) {
    this.#pool = new Piscina({
      filename: new URL('segment-task.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      maxQueue: queueMax,
      idleTimeout: 10_000,
    });
  }

  /** Of each, in their order. */
  encode(sessions: readonly SessionTexts[], dictionary: Dictionary | undefined): Promise<Encoded[]> {
    return this.#run({ type: 'encode', sessions, dictionary });
  }

  /** Reads these blocks of a segment, in their order. */
  measure(
    content: Uint8Array,
    entries: readonly SegmentEntry[],
    dictionaries: readonly Dictionary[],
  ): Promise<Measured[]> {
    return this.#run({ type: 'measure', content, entries, dictionaries });
  }

  /** Reads a whole segment; `digests` are those of the sessions' events, where they are known, to compare with. */
  inspect(content: Uint8Array, digests: ReadonlyMap<string, string> = new Map()): Promise<Inspection> {
    return this.#run({ type: 'inspect', content, digests });
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  #run<T>(task: SegmentTask): Promise<T> {
    return this.#pool.run(task) as Promise<T>;
  }
}
