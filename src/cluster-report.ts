import { Chronicle } from './cluster/chronicle.ts';
import type { NatsLink } from './cluster/nats-connection.ts';
import type { Clock } from './core/clock.ts';
import type { ClusterReport, ClusterStatus, NodeHealth } from './protocol/cluster-status.ts';
import type { Reader } from './store/database.ts';
import type { WorkerLoad } from './worker-messages.ts';

export interface ReporterOptions {
  readonly clock: Clock;
  readonly reader: Reader;
  readonly nats: { readonly link: NatsLink; readonly store: { readonly replicas: number } } | undefined;
  readonly status: () => ClusterStatus;
  /** What the workers said last. */
  readonly loads: () => readonly WorkerLoad[];
}

const watchMs = 100;
const probeMs = 1_000;
const probeWaitMs = 2_000;

/** On the main thread: how this node does, which goes to the others with its beats, and the report that people see. */
export class ClusterReporter {
  readonly #options: ReporterOptions;
  readonly #chronicle = new Chronicle();
  #databaseMs: number | null = null;
  #natsMs: number | null = null;
  #leaseLeftMs = 0;
  #isStopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Begins to look; before that there is nothing to report. */
  start(): void {
    this.#watch();
    void this.#probe();
  }

  stop(): void {
    this.#isStopped = true;
  }

  get health(): NodeHealth {
    const loads = this.#options.loads();
    const sum = (of: (load: WorkerLoad) => number): number =>
      loads.reduce((total, load) => total + of(load), 0);
    const feeds = loads.flatMap(({ feed }) => (feed === null ? [] : [feed]));
    return {
      connections: sum(({ connections }) => connections),
      journalQueue: sum(({ journalQueue }) => journalQueue),
      feed:
        this.#options.nats === undefined
          ? null
          : {
              waiting: feeds.reduce((total, { waiting }) => total + waiting, 0),
              lagMs: Math.max(0, ...feeds.map(({ lagMs }) => lagMs)),
            },
      databaseMs: this.#databaseMs,
      natsMs: this.#natsMs,
      leaseLeftMs: this.#leaseLeftMs === Infinity ? null : this.#leaseLeftMs,
    };
  }

  report(): ClusterReport {
    const { clock, status, nats } = this.#options;
    const now = status();
    this.#see(now);
    return {
      ...now,
      at: clock.wallMs(),
      members: now.members.map(
        ({ node, process, generation, workers, url, draining, version, silenceMs, health }) => ({
          node,
          process,
          generation,
          workers,
          url,
          draining,
          version,
          silenceMs,
          startedAt: startOf(process),
          ...(health === undefined ? {} : { health }),
        }),
      ),
      nats:
        nats === undefined
          ? null
          : {
              server: nats.link.connected ? nats.link.client.getServer() : '',
              replicas: nats.store.replicas,
            },
      recent: this.#chronicle.recent,
    };
  }

  #watch(): void {
    const { clock, status } = this.#options;
    if (this.#isStopped) return;
    this.#see(status());
    clock.after(watchMs, () => this.#watch());
  }

  #see(status: ClusterStatus): void {
    this.#leaseLeftMs = status.lease.leftMs;
    this.#chronicle.observe(status, this.#options.clock.wallMs());
  }

  async #probe(): Promise<void> {
    const { clock, reader, nats } = this.#options;
    if (this.#isStopped) return;
    const client = nats?.link.connected === true ? nats.link.client : undefined;
    [this.#databaseMs, this.#natsMs] = await Promise.all([
      this.#timed(() => reader.query((sql) => sql`select 1`)),
      client === undefined ? null : this.#timed(() => client.flush()),
    ]);
    clock.after(probeMs, () => void this.#probe());
  }

  /** How long it took; null when it failed, or took too long. */
  #timed(ask: () => Promise<unknown>): Promise<number | null> {
    const { clock } = this.#options;
    const start = clock.nowMs();
    return new Promise((resolve) => {
      const cancel = clock.after(probeWaitMs, () => resolve(null));
      ask()
        .then(
          () => resolve(clock.nowMs() - start),
          () => resolve(null),
        )
        .finally(cancel);
    });
  }
}

/** A process is named `node~start`: see node.ts. */
function startOf(process: string): number | null {
  const start = Number.parseInt(process.slice(process.lastIndexOf('~') + 1), 36);
  return Number.isFinite(start) ? start : null;
}
