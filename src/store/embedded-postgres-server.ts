import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';
import { StartError } from '../core/start-error.ts';
import { endRemains, isReady, poll } from './embedded-postgres-remains.ts';
import type { PostgresUser } from './embedded-postgres-user.ts';

export interface ServerOptions {
  readonly binaries: string;
  readonly cluster: string;
  readonly socketFile: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly user: PostgresUser;
  readonly log: Logger;
  /** It has ended by itself, and is being started again. */
  readonly onExit: () => void;
}

/** After an unclean end the log is read again, which takes as long as it takes; this only ends what hangs. */
const startWaitMs = 300_000;
const stopWaitMs = 4_000;
/** Time, SQLSTATE, kind of process: see log_line_prefix. */
const prefix = /^\S+ \S+ \S+ \[\w{5}\] \[[^\]]*\] /;
const restart = { perMinuteMax: 20, waitMs: 100, waitMaxMs: 5_000 };

/** The postmaster's process: started, watched, started again when it dies, stopped. */
export class PostgresServer {
  readonly #options: ServerOptions;
  readonly #stopped = Promise.withResolvers<void>();
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #stopping = false;
  #deaths: number[] = [];
  #lastLines: string[] = [];

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { binaries, cluster, settings, user } = this.#options;
    const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // It ends with us, even when we are killed; SIGINT is its fast shutdown.
    const command = user.command(join(binaries, 'postgres'), ['-D', cluster, ...given], 'INT');
    const child = spawn(command.file, command.args, {
      ...command.options,
      // A session of its own: Ctrl-C on our terminal is not for it, or it would end before we have committed the rest.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    this.#lastLines = [];
    let isOver = false;
    this.#exited = new Promise((resolve) => {
      const over = (): void => {
        isOver = true;
        resolve();
      };
      child.once('exit', over);
      child.once('error', over);
    });
    createInterface({ input: child.stderr }).on('line', (line) => this.#read(line));
    await poll(() => isOver || this.#stopping || isReady(cluster, child.pid), startWaitMs);
    if (this.#stopping) return;
    if (isOver || !isReady(cluster, child.pid)) {
      child.kill('SIGQUIT');
      const why =
        this.#lastLines.findLast((line) => /FATAL|PANIC|ERROR/.test(line)) ?? this.#lastLines.at(-1);
      throw new StartError(
        `the embedded PostgreSQL does not start: ${why?.replace(prefix, '') ?? 'no reason given'}`,
      );
    }
    void this.#exited.then(() => {
      if (!this.#stopping) void this.#again();
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped.resolve();
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      child.kill(signal);
      const timer = new Promise<'late'>((resolve) => setTimeout(resolve, stopWaitMs, 'late').unref());
      if ((await Promise.race([this.#exited, timer])) !== 'late') return;
    }
    child.kill('SIGKILL');
    await this.#exited;
  }

  /** Started again with a wait that grows, and given up when it never lasts. */
  async #again(): Promise<void> {
    const { cluster, socketFile, log, onExit } = this.#options;
    while (!this.#stopping) {
      onExit();
      const now = performance.now();
      this.#deaths = [...this.#deaths.filter((at) => now - at < 60_000), now];
      if (this.#deaths.length > restart.perMinuteMax) {
        log.fatal('PostgreSQL ends again and again; it is not started any more');
        return;
      }
      const waitMs = Math.min(restart.waitMaxMs, restart.waitMs * 2 ** (this.#deaths.length - 1));
      await Promise.race([
        this.#stopped.promise,
        new Promise((resolve) => setTimeout(resolve, waitMs).unref()),
      ]);
      if (this.#stopping) return;
      try {
        await endRemains(cluster, socketFile);
        if (this.#stopping) return;
        await this.start();
        if (!this.#stopping) log.warn('PostgreSQL is back');
        return;
      } catch (error) {
        log.error({ err: error }, 'PostgreSQL does not come back');
      }
    }
  }

  /**
   * Lines begin with time, SQLSTATE and kind of process. What the server refused a client is not written: it may quote
   * what a customer wrote, and the client reports it itself.
   */
  #read(line: string): void {
    this.#lastLines = [...this.#lastLines.slice(-9), line];
    if (this.#stopping) return;
    const match =
      /^\S+ \S+ \S+ \[(?<state>\w{5})\] \[(?<kind>[^\]]*)\] (?<level>WARNING|ERROR|FATAL|PANIC): /.exec(line);
    const { kind = '', level = '', state = '' } = match?.groups ?? {};
    // 57P03: it is not up yet; 57P01: it is going down.
    if (match === null || (kind === 'client backend' && level !== 'PANIC') || /^57P0[13]$/.test(state))
      return;
    this.#options.log.warn({ postgres: line.replace(prefix, '') }, 'PostgreSQL says');
  }
}
