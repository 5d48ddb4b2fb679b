import { tokensOf, type HistoryEntry } from './clients.ts';
import type { Model, Operation } from './linearizable.ts';

/** A session as its clients see it: a log to which one thing after the other is added, until it is closed. */
interface LogState {
  /** Seq of the newest event that anybody was told of. */
  readonly last: number;
  /** How many things clients have added. */
  readonly count: number;
  readonly closed: boolean;
}

export interface SessionCall {
  readonly entry: HistoryEntry;
  /** Which of the things that clients added it is; of a history: the places of those that it held. */
  readonly places: readonly number[];
}

/** What the sequential log must have said. */
export const sessionModel: Model<LogState, SessionCall> = {
  start: { last: 0, count: 0, closed: false },
  key: ({ last, count, closed }) => `${last}:${count}${closed ? 'c' : ''}`,
  step: (state, { entry: { kind, ending, seq }, places }) => {
    if (kind === 'history') {
      // Nothing that was told before may be missing, and nothing may be there that comes later.
      const isSame = places.length === state.count && places.every((place, at) => place === at);
      return seq >= state.last && isSame ? { ...state, last: seq } : undefined;
    }
    if (ending === 'refused') return state.closed ? state : undefined;
    const place = places[0]!;
    // A repeat of the same id: told again what was told before.
    if (kind === 'say' && place < state.count) return state;
    if (state.closed || seq <= state.last || place !== state.count) return undefined;
    return { last: seq, count: state.count + 1, closed: kind === 'close' };
  },
};

/**
 * The operations of one session for the model. What was not answered is looked up in the log: it took effect there, at
 * an unknown time, or never will. A refusal says something only if it says that the session is closed.
 */
export function operationsOf(
  entries: readonly HistoryEntry[],
  session: string,
  log: readonly string[],
  withRefusals: boolean,
): Operation<SessionCall>[] {
  const seqs = new Map(log.flatMap((json, at) => tokensOf(json).map((token) => [token, at + 1])));
  const places = new Map([...seqs.keys()].map((token, at) => [token, at]));
  const placeOf = (token: string): number => places.get(token) ?? -1;
  const operations: Operation<SessionCall>[] = [];
  // Told to be refused each time, and there all the same: found by the ledger, and of no concern here.
  const first = new Map<string, HistoryEntry>();
  const answered = new Set<string>();
  for (const entry of entries) {
    if (entry.session !== session || !seqs.has(entry.token)) continue;
    if (!first.has(entry.token)) first.set(entry.token, entry);
    if (entry.ending !== 'refused') answered.add(entry.token);
  }
  for (const [token, entry] of first) {
    if (answered.has(token)) continue;
    const input = {
      entry: { ...entry, ending: 'ok' as const, seq: seqs.get(token)! },
      places: [placeOf(token)],
    };
    operations.push({ startMs: entry.startMs, endMs: Infinity, input });
  }
  for (const entry of entries) {
    if (entry.session !== session) continue;
    const { kind, ending, token, startMs, endMs, code } = entry;
    const add = (it: HistoryEntry, untilMs: number, at: readonly number[]): void =>
      void operations.push({ startMs, endMs: untilMs, input: { entry: it, places: at } });
    if (ending === 'refused') {
      if (withRefusals && kind !== 'transfer' && kind !== 'history' && code === 'invalid_transition')
        add(entry, endMs, []);
    } else if (kind === 'history') {
      if (ending === 'ok') add(entry, endMs, entry.seen.map(placeOf));
    } else if (ending === 'ok') add(entry, endMs, [placeOf(token)]);
    else if (seqs.has(token))
      add({ ...entry, ending: 'ok', seq: seqs.get(token)! }, Infinity, [placeOf(token)]);
  }
  return operations;
}
