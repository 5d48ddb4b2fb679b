/**
 * Whether a history of concurrent operations could be that of one object which does one after the other, each at a
 * moment between its start and its end (Wing & Gong 1993, with Lowe's memory of what was tried).
 */
export interface Operation<I> {
  readonly startMs: number;
  /** Infinity: it was not answered. It took effect at some time after its start, or at none. */
  readonly endMs: number;
  /** What was asked, with what was answered. */
  readonly input: I;
}

export interface Model<S, I> {
  readonly start: S;
  /** The state after it; undefined: this answer can't be given in this state. */
  step(state: S, input: I): S | undefined;
  /** Equal for equal states. */
  key(state: S): string;
}

const triesMax = 1_000_000;

export function isLinearizable<S, I>(history: readonly Operation<I>[], model: Model<S, I>): boolean {
  const operations = [...history].sort((a, b) => a.startMs - b.startMs);
  const done = new Uint8Array(operations.length);
  const tried = new Set<string>();
  const mustLeft = operations.filter((operation) => operation.endMs !== Infinity).length;

  /** `from`: all before it are done. */
  const search = (state: S, from: number, left: number): boolean => {
    if (left === 0) return true;
    const key = `${doneKey(done, from)}|${model.key(state)}`;
    if (tried.has(key)) return false;
    if (tried.size >= triesMax) throw new Error('there is too much at once to judge this history');
    tried.add(key);
    let latestMs = Infinity;
    // Only what began before the first end of those that are left can be the next.
    for (let index = from; index < operations.length; index += 1)
      if (done[index] === 0) latestMs = Math.min(latestMs, operations[index]!.endMs);
    const isNow = (operation: Operation<I>): boolean => operation.startMs <= latestMs;
    const go = (index: number, next: S): boolean => {
      done[index] = 1;
      let first = from;
      while (first < operations.length && done[first] !== 0) first += 1;
      if (search(next, first, operations[index]!.endMs === Infinity ? left : left - 1)) return true;
      done[index] = 0;
      return false;
    };
    const now = model.key(state);
    const changes: (readonly [number, S])[] = [];
    for (let index = from; index < operations.length && isNow(operations[index]!); index += 1) {
      if (done[index] !== 0) continue;
      const next = model.step(state, operations[index]!.input);
      if (next === undefined) continue;
      // What changes nothing and is possible now loses nothing by being the next.
      if (model.key(next) === now) return go(index, next);
      changes.push([index, next]);
    }
    for (const [index, next] of changes) if (go(index, next)) return true;
    return false;
  };
  return search(model.start, 0, mustLeft);
}

function doneKey(done: Uint8Array, from: number): string {
  let key = `${from}:`;
  let last = done.length;
  while (last > from && done[last - 1] === 0) last -= 1;
  for (let index = from; index < last; index += 1) key += done[index];
  return key;
}
