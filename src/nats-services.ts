import type { NatsLink } from './cluster/nats-connection.ts';
import type { Clock } from './core/clock.ts';
import { shardCount } from './core/ids.ts';
import { EventFeed, type FeedStats } from './integrations/nats/feed.ts';
import { JetStreamPublisher } from './integrations/nats/jetstream-publisher.ts';
import type { MicroService } from './integrations/nats/micro-service.ts';
import { natsNames } from './integrations/nats/names.ts';
import { startService } from './integrations/nats/service.ts';
import { natsRequests } from './net/nats-requests.ts';
import type { Requests } from './net/requests.ts';
import type { SessionLister } from './net/session-page.ts';
import { TokenBuckets } from './net/token-bucket.ts';
import type { Tokens } from './net/tokens.ts';
import type { Reader } from './store/database.ts';
import { committedEvents, FeedLog } from './store/feed-log.ts';
import type { Item } from './store/journal-sql.ts';

/** What a worker thread gives to other programs over NATS, put together: the change feed and the requests. */

type Log = (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;

export interface WorkerFeedOptions {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly cluster: string;
  readonly reader: Reader;
  readonly log: Log;
}

/** The change feed, between the journal that fills it and the shards that come and go. */
export class WorkerFeed {
  readonly #table: FeedLog;
  readonly #feed: EventFeed;
  readonly #log: Log;
  /** The last place given out, by shard. */
  readonly #positions = new Float64Array(shardCount);

  constructor({ link, clock, cluster, reader, log }: WorkerFeedOptions) {
    this.#table = new FeedLog(reader);
    this.#log = log;
    this.#feed = new EventFeed({
      clock,
      cluster,
      log: this.#table,
      publisher: new JetStreamPublisher({ client: link.client, isConnected: () => link.connected, cluster }),
      subject: natsNames(cluster).events,
      tell: log,
    });
  }

  get stats(): FeedStats {
    return this.#feed.stats;
  }

  /** For the journal. */
  nextPosition(shard: number): number {
    this.#positions[shard]! += 1;
    return this.#positions[shard]!;
  }

  /** For the journal: these are in, in this order. */
  committed(items: readonly Item[]): void {
    this.#feed.committed(committedEvents(items));
  }

  /**
   * These shards' epochs have just been taken. Where their feeds stand must be known before their first commit: settles
   * with those of which it is known, which are all, or none when the database does not answer.
   */
  async opened(taken: ReadonlySet<number>): Promise<ReadonlySet<number>> {
    if (taken.size === 0) return taken;
    try {
      const heads = await this.#table.heads([...taken]);
      // Never back: a commit of the same term may be on its way.
      for (const { shard, head } of heads) this.#positions[shard] = Math.max(this.#positions[shard]!, head);
      this.#feed.opened(heads);
      return taken;
    } catch (error) {
      this.#log('warn', 'where the change feed stands could not be read: these shards are not served', error);
      return new Set();
    }
  }

  closed(shards: readonly number[]): void {
    this.#feed.closed(shards);
  }

  /** After the journal’s end, and before the connections’. */
  close(deadlineMs: number): Promise<void> {
    return this.#feed.close(deadlineMs);
  }
}

export interface WorkerServiceOptions {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly cluster: string;
  readonly version: string;
  readonly requests: Requests;
  readonly tokens: Tokens;
  readonly store: SessionLister;
  readonly bodyBytes: number;
  /** A token's; burst twice that; 0 = no limit. */
  readonly requestsPerSecond: number;
  readonly log: Log;
}

/** Begins to answer `kefu.api.sessions.*`. */
export function serveRequests(options: WorkerServiceOptions): MicroService {
  const { link, clock, cluster, version, requests, tokens, store, bodyBytes, requestsPerSecond, log } =
    options;
  return startService({
    client: link.client,
    clock,
    cluster,
    version,
    log,
    handle: natsRequests({
      requests,
      tokens,
      store,
      clock,
      bodyBytes,
      buckets: new TokenBuckets(requestsPerSecond),
      failed: (error, name) => log('error', `the request ${name} over NATS failed`, error),
    }),
  });
}
