import type { Sql } from '../../../src/store/database.ts';
import type { JournalOptions } from '../../../src/store/journal.ts';
import type { Hooks, Settings } from '../settings.ts';

/** A change of behaviour that must be seen by the checks, or be shown to do no harm because something else protects. */
export interface Mutation {
  readonly name: string;
  readonly hooks: Hooks;
  /** What must be said of it, where other failures could be the cause of something else. */
  readonly shownBy?: RegExp;
  /** A world in which it shows sooner. */
  readonly world?: (settings: Settings) => Settings;
  /** Why it does no harm. */
  readonly protectedBy?: string;
}

type Rows = readonly unknown[];
type Unsafe = (text: string, params: readonly unknown[]) => Promise<Rows>;

const isAppend = (text: string): boolean => text.includes('held as materialized');
const isLookUp = (text: string): boolean => text.includes('join events e on e.session = f.session');

/** The journal's driver with another `unsafe`. */
function withDriver(change: (unsafe: Unsafe) => Unsafe): (options: JournalOptions) => JournalOptions {
  return (options) => {
    // What was learned of one connection is known to the next one.
    const connections: Sql[] = [];
    const changed = change((text, params) => connections.at(-1)!.unsafe(text, params as never[]));
    return {
      ...options,
      connect: () => {
        const sql = options.connect();
        connections.push(sql);
        return { unsafe: changed, end: () => sql.end() } as unknown as Sql;
      },
    };
  };
}

function itemsOf(params: readonly unknown[]): { session: string; seq: number; data: string }[] {
  const sessions = (params[4] as string).slice(1, -1).split(',');
  const seqs = (params[5] as string).slice(1, -1).split(',').map(Number);
  return (params[7] as string)
    .split('\u0001')
    .map((data, at) => ({ session: sessions[at]!, seq: seqs[at]!, data }));
}

const broken = (settings: Settings): Settings => ({
  ...settings,
  database: { rolledBack: 0, lostBefore: 0.05, lostAfter: 0.1, straggles: 0.05 },
});

export const mutations: readonly Mutation[] = [
  {
    name: 'the database accepts a commit under any epoch',
    hooks: { rules: { fence: false, extraFence: false } },
  },
  { name: 'a shard is taken without looking at its epoch', hooks: { rules: { takeChecksEpoch: false } } },
  {
    name: 'a term that is taken already is given to a second owner',
    hooks: { rules: { takeChecksOwner: false } },
    world: (settings) => ({ ...settings, leases: { ...settings.leases, twoWinners: 1 } }),
  },
  {
    name: 'the writer is not compared: an old connection’s transaction comes in after it was looked up',
    hooks: { rules: { writer: false } },
    world: (settings) => ({ ...settings, database: { ...settings.database, straggles: 0.1 } }),
  },
  { name: 'promises of other shards are not fenced', hooks: { rules: { extraFence: false } } },
  {
    name: 'a commit is acknowledged before it is one',
    hooks: {
      journalOptions: withDriver((unsafe) => (text, params) => {
        const rows = unsafe(text, params);
        if (!isAppend(text)) return rows;
        void rows.catch(() => undefined);
        const held = (params[0] as string).split(',').map((_, at) => at + 1);
        return Promise.resolve([{ held: held.join(), bad: '' }]);
      }),
    },
  },
  {
    name: 'an unknown outcome is taken for a failure',
    world: broken,
    hooks: {
      journalOptions: withDriver(
        (unsafe) => (text, params) => (isLookUp(text) ? Promise.resolve([]) : unsafe(text, params)),
      ),
    },
  },
  {
    name: 'an unknown outcome is taken for a success',
    world: broken,
    hooks: {
      journalOptions: withDriver((unsafe) => {
        const sent: { session: string; seq: number; data: string }[] = [];
        return (text, params) => {
          if (isLookUp(text)) return Promise.resolve(sent);
          if (isAppend(text)) sent.splice(0, sent.length, ...itemsOf(params));
          return unsafe(text, params);
        };
      }),
    },
  },
  {
    name: 'reads are not confirmed',
    shownBy: /was read up to \d+ after/,
    hooks: { journal: (journal) => ({ ...bound(journal), confirm: () => undefined }) },
  },
  {
    name: 'the ids of a session that was loaded anew are not read',
    hooks: {
      history: (history) => ({
        forget: (session) => history.forget(session),
        keep: (session, events) => history.keep(session, events),
        range: (session, after, upTo, limit) => history.range(session, after, upTo, limit),
        messageIds: () => Promise.resolve(),
      }),
    },
  },
  {
    name: 'a shard is served before it is taken in the database',
    hooks: {
      keeper: (options) => ({
        ...options,
        journal: {
          isIdle: (shard) => options.journal.isIdle(shard),
          take: (terms) => {
            void options.journal.take(terms);
            return Promise.resolve(new Set(terms.map(({ shard }) => shard)));
          },
        },
      }),
    },
  },
  {
    name: 'nodes don’t agree who should have what',
    hooks: {
      cluster: (options) => ({
        ...options,
        bus: {
          get connected() {
            return options.bus!.connected;
          },
          publish: (beat) => options.bus!.publish(beat),
          listen: (receive) => options.bus!.listen((beat) => receive({ ...beat, workers: 100 })),
        },
      }),
    },
  },
  {
    name: 'a shard is opened and nobody is told that it is',
    hooks: { keeper: (options) => ({ ...options, answerOpened: () => undefined }) },
  },
  {
    name: 'the lease never ends, and nobody looks whether it does',
    hooks: {
      cluster: (options) => ({ ...options, ttlMs: Infinity }),
      journalOptions: (options) => ({ ...options, mayAct: () => true }),
    },
    protectedBy: 'the fence of each commit, and the look at the database of each read',
  },
  {
    name: 'a process that slept goes on without a look at what it still owns',
    hooks: { journalOptions: (options) => ({ ...options, mayAct: () => true }) },
    protectedBy: 'the fence of each commit, and the look at the database of each read',
  },
  {
    name: 'the lease store grants every claim to everybody',
    hooks: {
      cluster: (options) => ({ ...options, store: { ...options.store, claim: () => Promise.resolve(true) } }),
    },
    protectedBy: 'the epoch of the shard’s row, which only one can raise',
  },
  {
    name: 'a shard is released without waiting for what is on its way',
    hooks: {
      keeper: (options) => ({
        ...options,
        journal: { isIdle: () => true, take: (terms) => options.journal.take(terms) },
        system: {
          seal: (predicate) => {
            options.system.seal(predicate);
            return () => true;
          },
          stopKeys: (predicate) => options.system.stopKeys(predicate),
        },
      }),
    },
    protectedBy:
      'the next owner’s take, which waits for transactions in flight; whoever was not answered asks again',
  },
  {
    name: 'nothing is held for a shard in motion',
    hooks: { router: (options) => ({ ...options, heldMax: 0 }) },
    protectedBy: 'the refusal that each gets, and clients that try again',
  },
];

/** Its methods, to be spread: those of a class are not its own properties. */
function bound<T extends object>(object: T): T {
  const copy: Record<string, unknown> = {};
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(object) as object)) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value === 'function') copy[name] = (value as (...args: unknown[]) => unknown).bind(object);
  }
  return copy as T;
}
