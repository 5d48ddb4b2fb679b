import type { Envelope, System } from './actors/engine/types.ts';
import { refusal } from './core/errors.ts';
import type { Metrics } from './net/metrics.ts';
import { agentKind, gatewayKind, queueKind, sessionKind, type SessionMessage } from './actors/messages.ts';
import { shardOf, type IdSource } from './core/ids.ts';
import type { Config } from './config.ts';
import type { ApiOptions } from './net/api.ts';
import type { ConnectionHost } from './net/connection.ts';
import type { ClusterReport } from './protocol/cluster-status.ts';
import type { Clock } from './core/clock.ts';
import type { FeedStats } from './integrations/nats/feed.ts';
import type { People } from './store/people.ts';
import type { Reader } from './store/database.ts';
import type { PostgresJournal } from './store/journal.ts';
import type { ObjectStore } from './store/object-store.ts';
import { Rights } from './store/rights.ts';
import type { SessionIndex } from './store/session-index.ts';
import type { WorkerLoad } from './worker-messages.ts';

/** Parts of a worker thread that need no more of it than they are given. */

/** Limits are written with 0 for none. */
export function orUnlimited(limit: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

/** What the API needs of the tables. */
export function apiStore(people: People, sessions: SessionIndex): ApiOptions['store'] {
  return {
    byEmail: (email) => people.byEmail(email),
    agentProfiles: (group, limit) => people.profiles(group, limit),
    addAgent: (agent) => people.addAgent(agent),
    addGroup: (name) => people.addGroup(name),
    groupExists: (name) => people.groupExists(name),
    groups: (limit) => people.groups(limit),
    addCustomer: (customer, wallMs) => people.addCustomer(customer, wallMs),
    customer: (id) => people.customer(id),
    listSessions: (filter) => sessions.list(filter),
  };
}

interface WakerOptions {
  readonly clock: Clock;
  readonly system: System;
  readonly people: People;
  readonly sessions: SessionIndex;
  readonly log: (level: 'warn', text: string, error: unknown) => void;
}

/** Shards come a few at a time when a node leaves: it is looked for all of them together. */
const wakeMs = 200;

/**
 * Starts those actors of new shards that have something to do though nobody asks: queues with somebody waiting, and
 * agents that hold sessions but may never come back.
 */
export class Waker {
  readonly #options: WakerOptions;
  #opened = new Set<number>();

  constructor(options: WakerOptions) {
    this.#options = options;
  }

  opened(shards: readonly number[]): void {
    const { clock, log } = this.#options;
    if (this.#opened.size === 0)
      clock.after(wakeMs, () => {
        const opened = this.#opened;
        this.#opened = new Set();
        this.#wake(opened).catch((error: unknown) =>
          log('warn', 'who waits could not be read; the first message will do', error),
        );
      });
    for (const shard of shards) this.#opened.add(shard);
  }

  async #wake(opened: ReadonlySet<number>): Promise<void> {
    const { system, people, sessions } = this.#options;
    const isHere = (key: string): boolean => opened.has(shardOf(key));
    for (const group of await people.groups(10_000))
      if (isHere(group)) system.ref(queueKind, group).tell({ type: 'tick' });
    for (const agent of await sessions.holders())
      if (isHere(agent)) system.ref(agentKind, agent).tell({ type: 'reconcile' });
  }
}

/** Questions to the main thread, which alone knows the cluster. */
export class StatusAsks {
  readonly #send: (id: number) => void;
  readonly #waiting = new Map<number, (status: ClusterReport) => void>();
  #number = 0;

  constructor(send: (id: number) => void) {
    this.#send = send;
  }

  ask(): Promise<ClusterReport> {
    this.#number += 1;
    const id = this.#number;
    this.#send(id);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  answer(id: number, status: ClusterReport): void {
    this.#waiting.get(id)?.(status);
    this.#waiting.delete(id);
  }
}

const loadEveryMs = 1_000;

/** Tells, every second and for as long as the thread lives, how much there is to do here. */
export function tellLoad(
  clock: Clock,
  now: () => { connections: number; journalQueue: number; feed: FeedStats | undefined },
  tell: (load: WorkerLoad) => void,
): void {
  const { feed, ...rest } = now();
  tell({ ...rest, feed: feed === undefined ? null : { waiting: feed.held, lagMs: feed.lagMs } });
  clock.after(loadEveryMs, () => tellLoad(clock, now, tell));
}

const probeWaitMs = 2000;

/** Whether commits go through: the journal has a connection, and the database answers now. */
export async function isReady(clock: Clock, reader: Reader, journal: PostgresJournal): Promise<boolean> {
  if (!journal.ready) return false;
  const late = new Promise<false>((resolve) => clock.after(probeWaitMs, () => resolve(false)));
  const answers = reader
    .query((sql) => sql`select 1`)
    .then(
      () => true,
      () => false,
    );
  return (await Promise.race([answers, late])) && journal.ready;
}

export function rightsOf(worker: {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Made later than this, which it needs. */
  readonly system: () => System;
  readonly objects: ObjectStore;
}): Rights {
  const { system, objects, ...rest } = worker;
  return new Rights({
    ...rest,
    forget: (sessions) => {
      for (const id of sessions) system().ref(sessionKind, id).tell({ type: 'erased' });
    },
    deleteObject: (object) => objects.delete(object),
  });
}

const nobodyThere = refusal('unavailable', 'who has this session is not known just now; try again', 1000);

/** Nobody was found for it in time: who said something is told so. */
export function tellUndeliverable(
  system: System,
  metrics: Metrics,
  { kind = '', key = '', message }: Envelope,
): void {
  metrics.undeliverable.inc();
  const said = message as SessionMessage;
  if (kind !== sessionKind.kind || said.type !== 'say') return;
  const { peer, id } = said;
  system
    .ref(gatewayKind, peer.thread)
    .tell({ type: 'refused', session: key, conn: peer.conn, id, refusal: nobodyThere });
}

export function crashOnPurpose(): void {
  setImmediate(() => {
    throw new Error('a crash that a test asked for');
  });
}

/** What clients are told of the limits that concern them. */
export function announcedOf({ limits }: Config): ConnectionHost['announced'] {
  return {
    message_chars: 16_000,
    upload_bytes: limits.uploadBytes,
    frame_bytes: limits.frameBytes,
    history_max: limits.historyPage,
  };
}
