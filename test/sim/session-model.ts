import type { HistoryEntry } from './clients.ts';
import type { Model, Operation } from './linearizable.ts';

/** A session as its clients see it: a log to which one thing after the other is added, until it is closed. */
interface LogState {
  /** Seq of the newest event that anybody was told of. */
  readonly last: number;
  /** Tokens of clients, in the order in which they were added. */
  readonly tokens: readonly string[];
  readonly closed: boolean;
}

/** What the sequential log must have said. */
export const sessionModel: Model<LogState, HistoryEntry> = {
  start: { last: 0, tokens: [], closed: false },
  key: ({ last, tokens, closed }) => `${last}${closed ? 'c' : ''}${tokens.length}:${tokens.at(-1) ?? ''}`,
  step: (state, entry) => {
    const { kind, ending, seq, token, code, seen } = entry;
    if (kind === 'history') {
      // Nothing that was told before may be missing, and nothing may be there that comes later.
      const isSame = seen.length === state.tokens.length && seen.every((it, at) => it === state.tokens[at]);
      return seq >= state.last && isSame ? { ...state, last: seq } : undefined;
    }
    if (ending === 'refused') {
      const saysClosed = kind !== 'transfer' && code === 'invalid_transition';
      return saysClosed && !state.closed ? undefined : state;
    }
    // A repeat of the same id: told again what was told before.
    if (kind === 'say' && state.tokens.includes(token)) return state;
    if (state.closed || seq <= state.last) return undefined;
    return { last: seq, tokens: [...state.tokens, token], closed: kind === 'close' };
  },
};

/**
 * The operations of one session for the model. What was not answered is looked up in the log: it took effect there, at
 * an unknown time, or never will.
 */
export function operationsOf(
  entries: readonly HistoryEntry[],
  session: string,
  seqOf: (token: string) => number | undefined,
): Operation<HistoryEntry>[] {
  const operations: Operation<HistoryEntry>[] = [];
  for (const entry of entries) {
    if (entry.session !== session) continue;
    const { startMs, endMs } = entry;
    if (entry.ending !== 'unknown') operations.push({ startMs, endMs, input: entry });
    else if (entry.kind !== 'history') {
      const seq = seqOf(entry.token);
      if (seq !== undefined)
        operations.push({ startMs, endMs: Infinity, input: { ...entry, ending: 'ok', seq } });
    }
  }
  return operations;
}
