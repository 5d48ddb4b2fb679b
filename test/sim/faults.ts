/** What may be done to the world, at a time. `node` and `other` count the nodes round; `forMs` is how long it lasts. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly node: number;
  readonly other: number;
  readonly forMs: number;
}

export const faultKinds = [
  /** All its memory is lost; the node starts again after `forMs`. */
  'crash',
  /** Drains, says good-bye, ends; starts again after `forMs`. */
  'leave',
  /** One worker thread dies. */
  'threadCrash',
  /** Nothing of the process runs, while time goes on. */
  'sleep',
  /** The same, and its monotonic clock stands still. */
  'suspend',
  /** One thread hangs: 0 is the main one. */
  'hang',
  /** Its calendar jumps by `forMs`. */
  'wallJump',
  /** Nothing passes from `node` to `other`. */
  'cut',
  /** Nothing passes between `node` and any other, but NATS' leader is reached. */
  'island',
  /** NATS can't be reached from `node`. */
  'disconnect',
  /** Each message from and to `node` takes longer by up to two seconds. */
  'clog',
  /** The lease store has forgotten everything. */
  'wipe',
  /** The lease store has no leader. */
  'noLeader',
  'databaseCrash',
  'databaseHang',
  /** What is sent between `node` and the database arrives late by `forMs`. */
  'databaseCut',
  /** The connections that `node` has to the database are dead, and nobody says so; new ones work. */
  'databaseHalfOpen',
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** In words, for the command that repeats a run. */
export function faultText({ atMs, kind, node, other, forMs }: Fault): string {
  return `${kind}:${atMs}:${node}:${other}:${forMs}`;
}

export function parseFault(text: string): Fault {
  const [kind, ...numbers] = text.split(':');
  const [atMs = 0, node = 0, other = 0, forMs = 0] = numbers.map(Number);
  return { kind: kind as FaultKind, atMs, node, other, forMs };
}
