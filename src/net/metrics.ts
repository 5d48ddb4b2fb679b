import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One thread's metrics; /metrics adds those of all threads together. Names end in their unit. */
export class Metrics {
  readonly registry = new Registry();
  readonly said = this.#counter('kefu_messages_said_total', 'Messages that clients sent over WebSocket');
  readonly delivered = this.#counter('kefu_events_delivered_total', 'Events and acks sent to connections');
  readonly behind = this.#counter(
    'kefu_connections_behind_total',
    'Times a connection read too slowly and was caught up from history',
  );
  readonly deadLetters = this.#counter('kefu_dead_letters_total', 'Messages that no actor could take');
  readonly crashes = this.#counter('kefu_actor_crashes_total', 'Crashes of actors');
  readonly linkRefused = this.#gauge(
    'kefu_link_refused',
    'Messages refused because a link between threads was full or gone',
  );
  readonly undeliverable = this.#counter(
    'kefu_undeliverable_total',
    'Messages for a shard that nobody was known to have in time',
  );
  readonly natsEvents = new Counter({
    name: 'kefu_nats_events_total',
    help: 'What the connections to NATS went through: connected, disconnected, slow, error',
    labelNames: ['type'],
    registers: [this.registry],
  });
  readonly wire = new Gauge({
    name: 'kefu_wire',
    help: 'The connection to other nodes since its start: envelopes sent, received, chunked, refused; messages not understood (garbage), of a newer version (foreign), incomplete, slow round trips; bytes',
    labelNames: ['what'],
    registers: [this.registry],
  });
  readonly held = this.#gauge('kefu_cluster_held', 'Messages held for shards in motion');
  readonly rejected = new Counter({
    name: 'kefu_rejected_total',
    help: 'Requests, frames and connects that were refused, by code',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly connections = this.#gauge('kefu_connections', 'Open WebSockets');
  readonly actors = new Gauge({
    name: 'kefu_actors',
    help: 'Living actors by kind',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly mailboxDepth = this.#gauge('kefu_mailbox_depth', 'Messages waiting in all mailboxes');
  readonly mailboxDepthMax = new Gauge({
    name: 'kefu_mailbox_depth_max',
    help: 'Messages waiting in the fullest mailbox',
    registers: [this.registry],
    aggregator: 'max',
  });
  readonly commitSeconds = new Histogram({
    name: 'kefu_commit_seconds',
    help: 'Time of a journal transaction',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });
  readonly batchEvents = new Histogram({
    name: 'kefu_commit_batch_appends',
    help: 'Appends in a journal transaction',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
    registers: [this.registry],
  });
  readonly journalQueue = this.#gauge(
    'kefu_journal_queue_events',
    'Events waiting for a journal transaction',
  );
  readonly historyReads = new Gauge({
    name: 'kefu_history_reads',
    help: 'Ranges of history read since the start, by the tier that had them: hot is memory, warm PostgreSQL, cold the archive',
    labelNames: ['tier'],
    registers: [this.registry],
  });
  readonly historySeconds = new Histogram({
    name: 'kefu_history_seconds',
    help: 'Time of reading a range of history, by the tier that had it',
    labelNames: ['tier'],
    buckets: [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });
  readonly historyBytes = new Counter({
    name: 'kefu_history_bytes_total',
    help: 'Bytes read by tier: of hot and warm events’ text, of the cold ones as object storage gave them',
    labelNames: ['tier'],
    registers: [this.registry],
  });
  readonly historyAgeSeconds = new Histogram({
    name: 'kefu_history_age_seconds',
    help: 'Age of what was read, by tier',
    labelNames: ['tier'],
    buckets: [60, 3600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400, 3 * 365 * 86_400],
    registers: [this.registry],
  });
  readonly storedBytes = new Gauge({
    name: 'kefu_history_stored_bytes',
    help: 'Bytes that the tiers hold: hot in this node’s memory; warm in PostgreSQL, cold in segments, told by the archive’s owner alone',
    labelNames: ['tier'],
    registers: [this.registry],
  });
  readonly archiveBacklog = this.#gauge(
    'kefu_archive_backlog_sessions',
    'Closed sessions that are due and not in the archive yet, counted up to 10,000; told by the archive’s owner alone',
  );
  readonly archiveOldest = this.#gauge(
    'kefu_archive_oldest_warm_seconds',
    'Since the closing of the session that is closed longest and not in the archive; told by the archive’s owner alone',
  );
  /** What the history tells of a read. */
  readonly historyRead = (tier: string, bytes: number, ms: number, ageMs: number): void => {
    this.historySeconds.observe({ tier }, ms / 1000);
    this.historyAgeSeconds.observe({ tier }, Math.max(0, ageMs) / 1000);
    if (tier !== 'cold') this.historyBytes.inc({ tier }, bytes);
  };
  readonly searchIndexed = new Counter({
    name: 'kefu_search_indexed_total',
    help: 'Sessions and events put into the search index; sessions whose texts were read from the tables again; writes that failed and are tried again; times that the list of touched sessions was full',
    labelNames: ['what'],
    registers: [this.registry],
  });
  readonly searchLag = new Gauge({
    name: 'kefu_search_lag_seconds',
    help: 'How long the oldest change that is not in the search index has waited, of the worst thread',
    registers: [this.registry],
    aggregator: 'max',
  });
  readonly archived = new Counter({
    name: 'kefu_archived_total',
    help: 'Moved to the archive: segments, sessions, events, bytes of segments, raw bytes of the events in them; segments written anew (compacted) or made one of (merged), and the bytes that this freed; orphans, objects that nobody knew and that were deleted; strangers, unknown objects that were left alone',
    labelNames: ['what'],
    registers: [this.registry],
  });
  readonly choresFailed = new Counter({
    name: 'kefu_archive_failures_total',
    help: 'Rounds of archiving, retention, erasure, compaction, merging or sweep that failed and are tried again',
    labelNames: ['what'],
    registers: [this.registry],
  });
  readonly objectSeconds = new Histogram({
    name: 'kefu_object_seconds',
    help: 'Time of operations of the object store, of get until its answer begins; broken_off: it failed in its body',
    labelNames: ['operation', 'outcome'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    registers: [this.registry],
  });
  readonly objectBytes = new Counter({
    name: 'kefu_object_bytes_total',
    help: 'Bytes put into the object store, and those of answers that it began',
    labelNames: ['operation'],
    registers: [this.registry],
  });
  readonly objectRetries = this.#counter(
    'kefu_object_retries_total',
    'Requests to the object store that failed and were sent again',
  );
  /** What the object store tells of itself. */
  readonly objects = {
    ended: (operation: string, outcome: string, ms: number): void =>
      this.objectSeconds.observe({ operation, outcome }, ms / 1000),
    moved: (operation: string, bytes: number): void => this.objectBytes.inc({ operation }, bytes),
    retried: (): void => this.objectRetries.inc(),
  };
  readonly residentBytes = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of this node’s process, all threads together; without PostgreSQL',
    registers: [this.registry],
    aggregator: 'max',
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  readonly eventLoopDelay = new Gauge({
    name: 'kefu_event_loop_delay_seconds',
    help: '99th percentile of the event loop’s delay since the last scrape, of the worst thread',
    registers: [this.registry],
    aggregator: 'max',
  });

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.registry] });
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }
}
