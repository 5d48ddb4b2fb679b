import type { ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { StartError } from '../src/core/start-error.ts';
import { spawnWithUs } from './processes.ts';

export interface KeptOptions {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Where its output goes. */
  readonly logFile: string;
  readonly isReady: () => Promise<boolean>;
  /** What people are told. */
  readonly say: (line: string) => void;
}

const readyWaitMs = 60_000;
const pollMs = 50;
/** Long enough to see on a page that it is gone. */
const againMs = 5_000;
const againMaxMs = 60_000;
const tailChars = 4_000;

/** A process that is started again when it dies, until it is told to stop. */
export class KeptProcess {
  readonly #options: KeptOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #tail = '';
  #isStopping = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Settles when it is ready. Rejects with a StartError when it ended before, or never got ready. */
  async start(): Promise<void> {
    const { name, isReady } = this.#options;
    if (this.#isStopping) return;
    const child = this.#spawn();
    let isOver = false;
    this.#exited = new Promise((resolve) => {
      const over = (): void => {
        isOver = true;
        resolve();
      };
      child.once('exit', over);
      child.once('error', over);
    });
    for (const endMs = performance.now() + readyWaitMs; !(await isReady());) {
      if (this.#isStopping) return;
      if (isOver) throw new StartError(`${name} does not start: ${this.#lastWords()}`);
      if (performance.now() > endMs) throw new StartError(`${name} does not get ready: ${this.#lastWords()}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    void this.#exited.then(() => this.#died(child, againMs));
  }

  /** SIGTERM, and SIGKILL when it takes longer than this. */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGTERM');
    // Who was stopped by hand hears nothing else.
    this.#child?.kill('SIGCONT');
    const late = setTimeout(() => this.kill(), withinMs);
    await this.#exited;
    clearTimeout(late);
  }

  kill(): void {
    this.#isStopping = true;
    this.#child?.kill('SIGKILL');
  }

  #spawn(): ChildProcess {
    const { program, args, logFile } = this.#options;
    // A group of its own: Ctrl-C on our terminal is for us, who end things in their order.
    const child = spawnWithUs(program, args, 'TERM', { detached: true });
    const log = createWriteStream(logFile, { flags: 'a' });
    this.#tail = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => {
        log.write(data);
        this.#tail = `${this.#tail}${data.toString()}`.slice(-tailChars);
      });
    child.once('close', () => log.end());
    this.#child = child;
    return child;
  }

  #died({ pid, exitCode, signalCode }: ChildProcess, waitMs: number): void {
    const { name, say } = this.#options;
    if (this.#isStopping) return;
    const how = signalCode === null ? `with ${exitCode}: ${this.#lastWords()}` : `by ${signalCode}`;
    say(`${name} (pid ${pid}) has ended ${how}; it is started again in ${waitMs / 1000} s`);
    this.#timer = setTimeout(() => void this.#again(waitMs), waitMs);
  }

  async #again(waitedMs: number): Promise<void> {
    const { name, say } = this.#options;
    try {
      await this.start();
      if (!this.#isStopping) say(`${name} is back: pid ${this.pid}`);
    } catch (error) {
      if (this.#isStopping) return;
      const waitMs = Math.min(againMaxMs, waitedMs * 2);
      this.#child?.kill('SIGKILL');
      say(`${(error as Error).message}; it is tried again in ${waitMs / 1000} s`);
      this.#timer = setTimeout(() => void this.#again(waitMs), waitMs);
    }
  }

  /** The reason that it gave, or else its last line. */
  #lastWords(): string {
    const lines = this.#tail.trim().split('\n');
    const line = lines.findLast((it) => /^kefu: |\[FTL\]|^\w*Error: /.test(it)) ?? lines.at(-1);
    return line?.replace(/^kefu: /, '').slice(0, 300) || 'no reason given';
  }
}
