import { agentActors } from '../../src/actors/agent.ts';
import { customerActors } from '../../src/actors/customer.ts';
import { ActorSystem } from '../../src/actors/engine/system.ts';
import type { ActorKind, Envelope, ThreadId } from '../../src/actors/engine/types.ts';
import {
  agentKind,
  gatewayKind,
  queueKind,
  sessionKind,
  type GatewayMessage,
  type SessionMessage,
} from '../../src/actors/messages.ts';
import { queueActors } from '../../src/actors/queue.ts';
import { sessionActors } from '../../src/actors/session.ts';
import type { ProcessId, Term } from '../../src/cluster/ports.ts';
import { ClusterRouter } from '../../src/cluster/router.ts';
import { ShardKeeper } from '../../src/cluster/shard-keeper.ts';
import type { ShardMap } from '../../src/cluster/shard-map.ts';
import { refusal } from '../../src/core/errors.ts';
import { IdSource, shardOf } from '../../src/core/ids.ts';
import { Reader } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import { PostgresJournal } from '../../src/store/journal.ts';
import { People } from '../../src/store/people.ts';
import { SessionIndex } from '../../src/store/session-index.ts';
import { newestTerms } from '../../src/store/shards.ts';
import type { SimChance } from './chance.ts';
import type { SimNetwork } from './network.ts';
import type { Hooks, Settings } from './settings.ts';
import type { SimDatabase } from './sim-database.ts';
import { simSql, type SqlOptions } from './sim-sql.ts';
import { trueRules } from './statements.ts';
import type { ThreadClock } from './time.ts';

/** What a thread is made of and where it tells. */
export interface ThreadOptions {
  readonly id: ThreadId;
  readonly process: ProcessId;
  readonly node: string;
  readonly clock: ThreadClock;
  readonly chance: SimChance;
  readonly shards: ShardMap;
  readonly settings: Settings;
  readonly hooks: Hooks;
  readonly database: SimDatabase;
  readonly databaseCutMs: () => number;
  readonly network: SimNetwork;
  readonly known: readonly ThreadId[];
  /** All threads of this node. */
  readonly siblings: readonly ThreadId[];
  readonly toMain: (message: FromThread) => void;
  readonly log: (text: string) => void;
  readonly crashed: (error: unknown, what: string) => void;
}

export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'opened'; readonly term: Term; readonly taken: boolean }
  | { readonly type: 'released'; readonly term: Term }
  | { readonly type: 'fenced'; readonly term: Term };

const nobodyThere = refusal('unavailable', 'who has this session is not known just now; try again', 1000);

type GatewayEvent = (message: GatewayMessage) => void;

/** A worker thread, put together as src/worker.ts does it: the same parts, but for its sockets. */
export class SimThread {
  readonly id: ThreadId;
  readonly clock: ThreadClock;
  readonly router: ClusterRouter;
  readonly system: ActorSystem;
  readonly keeper: ShardKeeper;
  readonly journal: PostgresJournal;
  /** Its journal's newest. */
  writer = '';
  readonly #options: ThreadOptions;
  readonly #people: People;
  readonly #sessions: SessionIndex;
  readonly #reader: Reader;
  /** Connections, by their number. */
  readonly connections = new Map<number, GatewayEvent>();
  /** Told when actors started anew and those who follow them must come again. */
  readonly restartListeners = new Set<(lost: (kind: string, key: string) => boolean) => void>();

  constructor(options: ThreadOptions) {
    const { id, clock, chance, settings, hooks, network, node, log } = options;
    this.#options = options;
    this.id = id;
    this.clock = clock;
    const ids = new IdSource(clock, chance);
    const rules = { ...trueRules, ...hooks.rules };
    const sql: SqlOptions = {
      node,
      database: options.database,
      clock,
      cutForMs: options.databaseCutMs,
      rules,
    };
    this.#reader = new Reader(simSql(sql, false), clock, 1_500);
    this.#people = new People(this.#reader, settings.capacity);
    this.#sessions = new SessionIndex(this.#reader);
    this.router = this.#makeRouter(
      network.wire(id, { node, clock, receive: (envelopes, from) => this.router.receive(envelopes, from) }),
    );
    const journalOptions = {
      clock,
      connect: () => simSql(sql, true),
      newWriter: () => (this.writer = `${id} ${ids.next()}`),
      epochOf: (shard: number) => this.keeper.epochOf(shard),
      ownShards: () => this.keeper.shards,
      owner: options.process,
      mayAct: () => options.shards.isValid(clock.nowMs()),
      newest: (terms: readonly Term[]) => newestTerms(this.#reader, terms),
      refused: (shard: number, epoch: number) => void this.#checkTerm({ shard, epoch }),
      settle: (session: string, outcome: Parameters<JournalSettle>[1]) =>
        this.system.notify(sessionKind, session, outcome),
      log: (_level: string, text: string) => log(text),
      limits: { batchEvents: 20, queueEvents: 1_000, commitWaitMs: settings.commitWaitMs },
    };
    this.journal = new PostgresJournal(hooks.journalOptions?.(journalOptions) ?? journalOptions);
    this.system = this.#makeSystem(ids);
    this.keeper = this.#makeKeeper();
    this.router.setThreads(options.known);
    void this.journal.start().then(() => options.toMain({ type: 'ready' }));
  }

  #makeRouter(wire: ReturnType<SimNetwork['wire']>): ClusterRouter {
    const { id, shards, clock, settings, hooks } = this.#options;
    const options = {
      self: id,
      shards,
      clock,
      wire,
      heldMax: settings.heldMax,
      heldMs: 3_000,
      deliver: (envelope: Envelope, from: ThreadId) => this.system.deliver(envelope, from),
      passedOn: (ask: number, thread: ThreadId) => this.system.passedOn(ask, thread),
      undeliverable: (envelope: Envelope) => this.#undeliverable(envelope),
    };
    return new ClusterRouter(hooks.router?.(options) ?? options);
  }

  #undeliverable({ kind = '', key = '', message }: Envelope): void {
    const said = message as SessionMessage;
    if (kind !== sessionKind.kind || said.type !== 'say') return;
    const { peer, id } = said;
    this.system
      .ref(gatewayKind, peer.thread)
      .tell({ type: 'refused', session: key, conn: peer.conn, id, refusal: nobodyThere });
  }

  #makeKeeper(): ShardKeeper {
    const { clock, toMain, hooks } = this.#options;
    const options = {
      clock,
      router: this.router,
      system: this.system,
      journal: this.journal,
      flushMs: 1_000,
      answerOpened: (term: Term, taken: boolean) => toMain({ type: 'opened', term, taken }),
      answerReleased: (term: Term) => toMain({ type: 'released', term }),
      serves: (opened: readonly number[]) => void this.#wake(new Set(opened)).catch(() => undefined),
      ceases: () => undefined,
    };
    return new ShardKeeper(hooks.keeper?.(options) ?? options);
  }

  #makeSystem(ids: IdSource): ActorSystem {
    const { clock, settings, hooks, id, siblings, crashed } = this.#options;
    const journal = hooks.journal?.(this.journal) ?? this.journal;
    const tiered = new TieredHistory(this.#reader, settings.hotBytes);
    const history = hooks.history?.(tiered) ?? tiered;
    const sessions = this.#sessions;
    const common = { mailboxMax: 200, idleMs: settings.idleMs };
    const gateway: ActorKind<GatewayMessage> = {
      ...gatewayKind,
      ...common,
      idleMs: 1e9,
      create: () => ({ receive: (message) => this.#toConnections(message) }),
    };
    const kinds = [
      sessionActors({
        isFar: (thread) => !thread.startsWith(`${this.#options.process}/`),
        journal,
        history,
        sessions,
        ids,
        messagesMax: 1_000,
        pageMax: 500,
        ...common,
      }),
      agentActors({
        journal,
        sessions,
        directory: this.#people,
        graceMs: settings.graceMs,
        onAway: 'queue',
        reserveMs: hooks.reserveMs ?? settings.reserveMs,
        connectionsMax: 5,
        ...common,
      }),
      queueActors({ sessions, directory: this.#people, lengthMax: 100, ...common }),
      customerActors({ journal, sessions, ids, ...common }),
      gateway,
    ] as unknown as readonly ActorKind<unknown>[];
    return new ActorSystem({
      clock,
      router: this.router,
      kinds,
      limits: {
        turnMessages: 16,
        turnMs: 5,
        restartsMax: 5,
        restartWindowMs: 30_000,
        restartBackoffMinMs: 50,
        restartBackoffMaxMs: 1_000,
        asksMax: 1_000,
      },
      observer: {
        deadLetters: () => undefined,
        crashed: ({ error, kind, key, lastMessage }) =>
          crashed(error, `${kind}/${key} at ${lastMessage} on ${id}`),
        restarted: (kind, key) => {
          for (const thread of siblings)
            this.system.ref(gatewayKind, thread).tell({ type: 'restarted', kind, key });
        },
        escalated: (error) => crashed(error, `escalated on ${id}`),
      },
    });
  }

  #toConnections(message: GatewayMessage): void {
    if (message.type === 'restarted')
      return this.restarted((kind, key) => kind === message.kind && key === message.key);
    if ('conns' in message) for (const conn of message.conns) this.connections.get(conn)?.(message);
    else if ('conn' in message) this.connections.get(message.conn)?.(message);
  }

  restarted(lost: (kind: string, key: string) => boolean): void {
    for (const listener of this.restartListeners) listener(lost);
  }

  moved(shards: readonly number[]): void {
    this.router.moved(shards);
    const moved = new Set(shards);
    this.restarted((_kind, key) => moved.has(shardOf(key)));
  }

  lost(threads: readonly ThreadId[]): void {
    for (const thread of threads) {
      this.router.disconnect(thread);
      this.system.threadLost(thread);
      for (const key of this.system.keysOf('session'))
        this.system.notify(sessionKind, key, { type: 'threadLost', thread });
      for (const key of this.system.keysOf('agent'))
        this.system.notify(agentKind, key, { type: 'threadLost', thread });
    }
  }

  async #checkTerm(term: Term): Promise<void> {
    const newest = await newestTerms(this.#reader, [term]).catch(() => undefined);
    if (newest !== undefined && !newest.has(term.shard)) this.#options.toMain({ type: 'fenced', term });
  }

  async #wake(opened: ReadonlySet<number>): Promise<void> {
    const isHere = (key: string): boolean => opened.has(shardOf(key));
    for (const group of await this.#people.groups(10_000))
      if (isHere(group)) this.system.ref(queueKind, group).tell({ type: 'tick' });
    for (const agent of await this.#sessions.holders())
      if (isHere(agent)) this.system.ref(agentKind, agent).tell({ type: 'reconcile' });
  }
}

type JournalSettle = ConstructorParameters<typeof PostgresJournal>[0]['settle'];
