import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromGenerator, Order, ToGenerator } from './orders.ts';
import type { Example, Second } from './tally.ts';

/** The generator processes, as one thing that is told what to do. */
const script = fileURLToPath(new URL('generator.ts', import.meta.url));
const endWaitMs = 2000;

interface Generator {
  readonly child: ChildProcess;
  readonly heard: Map<FromGenerator['t'], () => void>;
}

export class Generators {
  readonly examples: Example[] = [];
  coresMax = 0;
  readonly #all: readonly Generator[];
  readonly #failed: Promise<never>;
  #isEnding = false;

  constructor(orders: readonly Order[], onSecond: (generator: number, second: Second) => void) {
    let fail: (error: Error) => void;
    this.#failed = new Promise<never>((_, reject) => (fail = reject));
    // Nobody may be waiting just then; who waits next hears of it.
    this.#failed.catch(() => undefined);
    this.#all = orders.map((order, index) => {
      const child = fork(script, { execArgv: [], serialization: 'json' });
      const generator: Generator = { child, heard: new Map() };
      child.on('message', (message: FromGenerator) => {
        if (message.t === 'second') {
          this.coresMax = Math.max(this.coresMax, message.cores);
          return onSecond(index, message.second);
        }
        if (message.t === 'failed') return fail(new Error(`a generator failed: ${message.why}`));
        if (message.t === 'done') this.examples.push(...message.examples);
        generator.heard.get(message.t)?.();
      });
      child.on('exit', (code, signal) => {
        if (!this.#isEnding) fail(new Error(`a generator ended with ${code ?? signal}`));
      });
      this.#say(child, { t: 'order', order });
      return generator;
    });
  }

  /** All have said it; rejects when one fails. */
  async heard(what: FromGenerator['t']): Promise<void> {
    await Promise.race([
      Promise.all(
        this.#all.map((generator) => new Promise<void>((resolve) => generator.heard.set(what, resolve))),
      ),
      this.#failed,
    ]);
  }

  tell(message: ToGenerator): void {
    for (const { child } of this.#all) this.#say(child, message);
  }

  /** Resolves with what comes first: the time, or a failure, which is thrown. */
  async unlessFailed(work: Promise<void>): Promise<void> {
    await Promise.race([work, this.#failed]);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(
      this.#all.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
        if (child.connected) child.disconnect();
        const timer = setTimeout(() => child.kill('SIGKILL'), endWaitMs);
        await ended;
        clearTimeout(timer);
      }),
    );
  }

  #say(child: ChildProcess, message: ToGenerator): void {
    if (child.connected) child.send(message);
  }
}
