import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import * as uWS from 'uWebSockets.js';
import { agentActors } from './actors/agent.ts';
import { customerActors } from './actors/customer.ts';
import { usualLimits } from './actors/engine/limits.ts';
import type { ActorKind, Envelope, ThreadId } from './actors/engine/types.ts';
import type { Term } from './cluster/ports.ts';
import { ActorSystem } from './actors/engine/system.ts';
import { agentKind, gatewayKind, sessionKind } from './actors/messages.ts';
import { queueActors } from './actors/queue.ts';
import { sessionActors } from './actors/session.ts';
import { connectNats } from './cluster/nats-connection.ts';
import { ClusterRouter } from './cluster/router.ts';
import { ShardKeeper } from './cluster/shard-keeper.ts';
import { ShardMap } from './cluster/shard-map.ts';
import { NatsWire } from './cluster/wire-nats.ts';
import { assert } from './core/errors.ts';
import { IdSource, shardOf } from './core/ids.ts';
import { realChance, realClock } from './core/real-clock.ts';
import { createLog } from './log.ts';
import { natsOptionsOf } from './nats-options.ts';
import { serveRequests, WorkerFeed } from './nats-services.ts';
import { SharedLimits } from './net/connection-counter.ts';
import type { ConnectionHost } from './net/connection.ts';
import { FileRoutes } from './net/file-routes.ts';
import { Gateway } from './net/gateway.ts';
import { Metrics } from './net/metrics.ts';
import { Requests } from './net/requests.ts';
import { siteHandler } from './net/site.ts';
import { serve } from './net/http-server.ts';
import { loadStaticFiles } from './net/static-files.ts';
import { TokenBuckets } from './net/token-bucket.ts';
import { createTokens } from './net/tokens.ts';
import { openPool, Reader } from './store/database.ts';
import { Files } from './store/files.ts';
import { TieredHistory } from './store/history.ts';
import { PostgresJournal } from './store/journal.ts';
import { People } from './store/people.ts';
import { SessionIndex } from './store/session-index.ts';
import { newestTerms } from './store/shards.ts';
import { WorkerArchive } from './worker-archive.ts';
import { giveMemoryBack } from './worker-memory.ts';
import { WorkerSearch } from './worker-search.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.ts';
import { workerObjects } from './worker-objects.ts';
import {
  announcedOf,
  apiStore,
  crashOnPurpose,
  isReady,
  orUnlimited,
  rightsOf,
  StatusAsks,
  tellUndeliverable,
  tellLoad,
  Waker,
} from './worker-parts.ts';

const start = workerData as WorkerStart;
const { config, index } = start;
const self = start.threads[index]!;
const clock = realClock;
const log = createLog(config.log).child({ thread: self });
const metrics = new Metrics();
const ids = new IdSource(clock, realChance);
const shards = new ShardMap(start.shards);
const clustered = config.nats.servers.length > 0;
const link = clustered
  ? await connectNats(
      natsOptionsOf(config),
      self,
      ({ type, data }) => {
        metrics.natsEvents.inc({ type });
        log[type === 'connected' ? 'info' : 'warn'](data, `NATS: ${type}`);
      },
      { clock, chance: realChance },
    )
  : undefined;
const wire =
  link === undefined
    ? undefined
    : new NatsWire({
        link,
        cluster: config.nats.cluster,
        thread: self,
        clock,
        deliver: (from, envelopes) => router.receive(envelopes, from),
      });
const told = (level: 'info' | 'warn' | 'error', text: string, error?: unknown): void =>
  log[level]({ err: error }, text);
const router = new ClusterRouter({
  self,
  shards,
  clock,
  wire,
  heldMax: config.cluster.held,
  heldMs: config.cluster.heldWaitMs,
  deliver: (envelope, from) => system.deliver(envelope, from),
  passedOn: (ask, thread) => system.passedOn(ask, thread),
  undeliverable: (envelope) => tellUndeliverable(system, metrics, envelope),
});
const shared = new SharedLimits(start.limits, index, config.limits);
const reader = new Reader(
  openPool(start.database, `${self} reads`, config.store.connections, config.store.readWaitMs),
  clock,
  config.store.readWaitMs,
);
const people = new People(reader, config.agents.capacity);
const sessions = new SessionIndex(reader);
const objects = await workerObjects(config, metrics, index === 0, told);
const rights = rightsOf({ reader, clock, ids, system: () => system, objects });
const archive = new WorkerArchive({
  config,
  database: start.database,
  reader,
  clock,
  ids,
  store: objects,
  metrics,
  rights,
  log: told,
});
const observer = { clock, read: metrics.historyRead };
const history = new TieredHistory(reader, config.store.hotBytes, archive.cold, observer);

const search = new WorkerSearch({
  config,
  database: start.database,
  clock,
  cold: archive.cold,
  sessions,
  owns: (shard) => keeper.epochOf(shard) > 0,
  metrics,
  log: told,
});
const feed =
  link === undefined || !config.nats.feed
    ? undefined
    : new WorkerFeed({ link, clock, cluster: config.nats.cluster, reader, log: told });

const journal = new PostgresJournal({
  ...(feed === undefined ? {} : { feed }),
  clock,
  connect: () => openPool(start.database, `${self} journal`, 1, 2 * config.journal.commitWaitMs),
  newWriter: () => `${self} ${ids.next()}`,
  epochOf: (shard) => keeper.epochOf(shard),
  ownShards: () => keeper.shards,
  owner: start.process,
  mayAct: () => shards.isValid(clock.nowMs()),
  ...(clustered ? { newest: (terms: readonly Term[]) => newestTerms(reader, terms) } : {}),
  refused: (shard, epoch) => void checkTerm({ shard, epoch }),
  committed: (items) => search.index.committed(items),
  settle: (session, outcome) => system.notify(sessionKind, session, outcome),
  log: told,
  limits: config.journal,
  observe: (batch, ms) => {
    metrics.batchEvents.observe(batch);
    metrics.commitSeconds.observe(ms / 1000);
  },
});

const mailboxMax = config.limits.mailbox;
const { idleMs } = config.actors;

const gateway = new Gateway({
  thread: self,
  clock,
  host: () => host,
  shared,
  limits: config.limits,
  trustProxy: config.http.trustProxy,
  firstNumber: start.life * 1e9 + 1,
  metrics: () => collect(),
  rejected: (code) => metrics.rejected.inc({ code }),
});

const kinds = [
  sessionActors({
    journal,
    history,
    sessions,
    ids,
    mailboxMax,
    idleMs,
    messagesMax: orUnlimited(config.limits.logIds),
    isFar: (thread) => !start.threads.includes(thread),
    pageMax: config.limits.historyPage,
  }),
  agentActors({
    journal,
    sessions,
    directory: people,
    mailboxMax,
    idleMs,
    graceMs: config.agents.graceMs,
    onAway: config.agents.onAway,
    reserveMs: config.agents.reserveMs,
    connectionsMax: orUnlimited(config.limits.connectionsPerIdentity),
  }),
  queueActors({
    sessions,
    directory: people,
    mailboxMax,
    idleMs,
    lengthMax: orUnlimited(config.limits.queueLength),
  }),
  customerActors({ journal, sessions, ids, mailboxMax, idleMs }),
  gateway.kind(),
] as unknown as readonly ActorKind<unknown>[];

const system = new ActorSystem({
  clock,
  router,
  kinds,
  limits: {
    ...usualLimits,
    restartsMax: config.actors.restarts,
    restartWindowMs: config.actors.restartWindowMs,
  },
  observer: {
    deadLetters(count, sample) {
      metrics.deadLetters.inc(count);
      log.warn({ count, ...sample }, 'dead letters');
    },
    crashed(report) {
      metrics.crashes.inc();
      const { error, ...rest } = report;
      log.error({ err: error, ...rest }, 'an actor crashed');
    },
    restarted(kind, key) {
      for (const thread of start.threads)
        system.ref(gatewayKind, thread).tell({ type: 'restarted', kind, key });
    },
    escalated(error) {
      throw error;
    },
  },
});

const waker = new Waker({ clock, system, people, sessions, log: told });
const keeper = new ShardKeeper({
  clock,
  router,
  system,
  journal: {
    take: async (terms) => {
      const taken = await journal.take(terms);
      return feed === undefined ? taken : feed.opened(taken);
    },
    isIdle: (shard) => journal.isIdle(shard),
  },
  flushMs: config.cluster.flushMs,
  answerOpened: (term, taken) => send({ type: 'opened', term, taken }),
  answerReleased: (term) => send({ type: 'released', term }),
  serves: (opened) => {
    archive.opened(opened, (shard) => keeper.epochOf(shard));
    waker.opened(opened);
    search.index.opened(opened);
  },
  ceases: (shards) => {
    archive.closed(shards);
    feed?.closed(shards);
  },
});

/** The fence has refused a commit: of this term, or of another shard's that it leaned on? */
async function checkTerm(term: Term): Promise<void> {
  const newest = await newestTerms(reader, [term]).catch(() => undefined);
  if (newest !== undefined && !newest.has(term.shard)) send({ type: 'fenced', term });
}

const requests = new Requests(system, people);
const tokens = createTokens({ keys: start.tokenKeys, clock });
const statusAsks = new StatusAsks((id) => send({ type: 'askStatus', id }));
if (link !== undefined)
  serveRequests({
    link,
    clock,
    cluster: config.nats.cluster,
    version: start.version,
    requests,
    tokens,
    store: apiStore(people, sessions),
    bodyBytes: config.limits.bodyBytes,
    requestsPerSecond: config.limits.requestsPerSecondPerIp,
    log: told,
  });
const host: ConnectionHost = {
  thread: self,
  system,
  requests,
  limits: config.limits,
  announced: announcedOf(config),
  verify: (token) => tokens.verify(token),
  count(what, label) {
    if (what === 'rejected') metrics.rejected.inc({ code: label ?? '' });
    else metrics[what].inc();
  },
};

const load = () => ({ connections: gateway.size, journalQueue: journal.queued, feed: feed?.stats });
tellLoad(clock, load, (load) => send({ type: 'load', load }));
giveMemoryBack({ clock, closed: () => gateway.closed, log: told });
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

/** This thread's metrics as they are now. */
function collect(): Promise<unknown> {
  const stats = system.stats();
  metrics.connections.set(gateway.size);
  metrics.mailboxDepth.set(stats.mailboxDepthTotal);
  metrics.mailboxDepthMax.set(stats.mailboxDepthMax);
  metrics.journalQueue.set(journal.queued);
  metrics.storedBytes.set({ tier: 'hot' }, history.hotBytes);
  for (const [tier, count] of Object.entries(history.reads)) metrics.historyReads.set({ tier }, count);
  metrics.linkRefused.set(router.refused);
  metrics.held.set(router.held);
  metrics.searchLag.set(search.index.lagSeconds);
  for (const [what, count] of Object.entries(wire?.counters ?? {})) metrics.wire.set({ what }, count);
  for (const [kind, count] of Object.entries(stats.actors)) metrics.actors.set({ kind }, count);
  metrics.eventLoopDelay.set(delay.percentile(99) / 1e9);
  delay.reset();
  return metrics.registry.getMetricsAsJSON();
}

let listener: uWS.us_listen_socket | undefined;
let app: uWS.TemplatedApp | undefined;

async function listen(): Promise<void> {
  const { cert, key } = config.tls;
  app = cert === '' ? uWS.App() : uWS.SSLApp({ cert_file_name: cert, key_file_name: key });
  gateway.attach(app);
  const site = siteHandler({
    api: {
      rights,
      search: search.store,
      clock,
      ids,
      system,
      requests,
      tokens,
      cluster: () => statusAsks.ask(),
      files: new FileRoutes({
        requests,
        store: objects,
        index: new Files(reader),
        ids,
        clock,
        signatures: tokens,
        uploadBytes: config.limits.uploadBytes,
      }),
      store: apiStore(people, sessions),
      logins: new TokenBuckets(config.limits.loginsPerMinutePerIp / 60, config.limits.loginsPerMinutePerIp),
      customerTokenMs: config.auth.customerTokenMs,
      agentTokenMs: config.auth.agentTokenMs,
      bodyBytes: config.limits.bodyBytes,
      historyPage: config.limits.historyPage,
    },
    shared,
    pages: await loadStaticFiles(new URL('../dist/web', import.meta.url).pathname),
    threads: start.threads,
    origins: config.http.origins,
    metricsOpen: config.metrics.open,
    ready: () => isReady(clock, reader, journal),
    countByState: () => sessions.countByState(),
    rejected: (code) => metrics.rejected.inc({ code }),
    crash: process.env['KEFU_TEST_HOOKS'] === '1' ? crashOnPurpose : undefined,
    worker: index,
  });
  serve(
    app,
    {
      trustProxy: config.http.trustProxy,
      failed: (error, path) =>
        log.error({ err: error, path: path.replace(/[0-9a-f-]{36}/g, ':') }, 'a request failed'),
    },
    site,
  );
  await new Promise<void>((resolve, reject) => {
    app!.listen(config.host, start.port, (socket) => {
      if (socket === false)
        return reject(new Error(`port ${start.port} of ${config.host} is in use: give another --port`));
      listener = socket;
      resolve();
    });
  });
}

/** A worker that ended with an open app would take the whole process with it. */
function closeSockets(): void {
  closeDoor();
  app?.close();
  app = undefined;
}

/** What was committed in the last moment goes into the change feed; what does not, its shard's next owner finds. */
const feedCloseMs = 500;

function closeDoor(): void {
  if (listener !== undefined) uWS.us_listen_socket_close(listener);
  listener = undefined;
}

/** Commits what was taken; the acks may be for connections of other threads, so all drain before any stops. */
async function drain(deadlineMs: number): Promise<void> {
  closeDoor();
  await journal.close(deadlineMs);
  await feed?.close(feedCloseMs);
  // Two turns of the event loop: one for the actors to hear of the last commit, one for the ports to take its acks.
  await new Promise<void>((resolve) => clock.after(10, resolve));
}

async function stop(): Promise<void> {
  gateway.goaway('stopping');
  await new Promise<void>((resolve) => clock.after(50, resolve));
  closeSockets();
  await reader.sql
    .end({ timeout: 1 })
    .catch((error: unknown) => log.warn({ err: error }, 'closing the pool'));
  await link?.close();
}

function send(message: FromWorker): void {
  parentPort!.postMessage(message);
}

process.on('uncaughtException', (error: Error) => {
  log.fatal({ err: error }, 'this worker thread has failed and is replaced');
  closeSockets();
  send({ type: 'crashing', reason: error.message });
  setImmediate(() => process.exit(1));
});

/** Everybody here who knew connections of a thread that is gone forgets them. */
function forget(thread: ThreadId): void {
  for (const key of system.keysOf('session')) system.notify(sessionKind, key, { type: 'threadLost', thread });
  for (const key of system.keysOf('agent')) system.notify(agentKind, key, { type: 'threadLost', thread });
}

function lost(threads: readonly ThreadId[]): void {
  for (const thread of threads) {
    router.disconnect(thread);
    system.threadLost(thread);
    forget(thread);
  }
}

function linked({ thread, port, sent, received }: Extract<ToWorker, { type: 'link' }>): void {
  const handled = new Int32Array(received);
  router.connect(thread, port, sent);
  port.on('message', (envelopes: readonly Envelope[]) => {
    router.receive(envelopes, thread);
    Atomics.add(handled, 1, envelopes.length);
  });
}

parentPort!.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'link':
      return linked(message);
    case 'lost':
      return lost(message.threads);
    case 'threads':
      return router.setThreads(message.all);
    case 'moved': {
      router.moved(message.shards);
      const moved = new Set(message.shards);
      return gateway.restarted((_kind, key) => moved.has(shardOf(key)));
    }
    case 'open':
      return void keeper.open(message.terms);
    case 'release':
      return void keeper.release(message.terms);
    case 'drop':
      return keeper.drop(message.shards);
    case 'status':
      return statusAsks.answer(message.id, message.status);
    case 'listen':
      listen().then(
        () => send({ type: 'listening' }),
        (error: Error) => send({ type: 'crashing', reason: error.message }),
      );
      return;
    case 'close':
      return closeDoor();
    case 'drain':
      return void drain(message.deadlineMs).then(() => send({ type: 'drained' }));
    case 'stop':
      return void stop().then(() => process.exit(0));
  }
});

assert(parentPort, 'this file is started as a worker thread');
router.setThreads(start.known);
void journal.start().then(() => send({ type: 'ready' }));
