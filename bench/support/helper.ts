import { fork } from 'node:child_process';

/** A process that is told what to do by messages and answers each one, in order. */
export class Helper<Order extends object> {
  readonly #child;
  #waiting: { resolve: (result: never) => void; reject: (error: Error) => void } | undefined;

  constructor(file: URL) {
    this.#child = fork(file, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (answer: { result?: unknown; error?: string }) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (answer.error === undefined) waiting?.resolve(answer.result as never);
      else waiting?.reject(new Error(answer.error));
    });
    this.#child.on('exit', () => this.#waiting?.reject(new Error('the load process ended')));
  }

  ask<Result>(order: Order): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#child.send(order);
    });
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
