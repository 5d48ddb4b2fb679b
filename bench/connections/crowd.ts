import { Helper } from '../support/helper.ts';
import type { Connected, CrowdOrder, Stormed } from './crowd-process.ts';

/** A load process may hold 20,000 files. */
const partMax = 7500;
let addresses = 0;

/** Customers of one node, in as many processes as it takes. */
export class Crowd {
  readonly #parts: Helper<CrowdOrder>[] = [];

  static async visit(port: number, count: number): Promise<Crowd> {
    const crowd = new Crowd();
    const partCount = Math.ceil(count / partMax);
    for (let part = 0; part < partCount; part += 1)
      crowd.#parts.push(new Helper<CrowdOrder>(new URL('crowd-process.ts', import.meta.url)));
    const each = Math.floor(count / partCount);
    await crowd.#all((part, index) => {
      addresses += 1;
      const own = index === 0 ? count - each * (partCount - 1) : each;
      return part.ask({ do: 'visit', port, count: own, network: `127.0.${10 + addresses}` });
    });
    return crowd;
  }

  async connect(): Promise<Connected> {
    const parts = await this.#all((part) => part.ask<Connected>({ do: 'connect' }));
    return {
      connected: parts.reduce((sum, { connected }) => sum + connected, 0),
      seconds: Math.max(...parts.map(({ seconds }) => seconds)),
    };
  }

  async open(): Promise<void> {
    await this.#all((part) => part.ask({ do: 'open' }));
  }

  async say(): Promise<void> {
    await this.#all((part) => part.ask({ do: 'say' }));
  }

  async storm(): Promise<Stormed> {
    const parts = await this.#all((part) => part.ask<Stormed>({ do: 'storm' }));
    return {
      readyMs: parts.flatMap(({ readyMs }) => readyMs),
      ackedMs: parts.flatMap(({ ackedMs }) => ackedMs),
    };
  }

  /** How many messages were acked: each is there, once, at its seq. */
  async check(port: number): Promise<number> {
    const counts = await this.#all((part) => part.ask<number>({ do: 'check', port }));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Connected now. */
  async count(): Promise<number> {
    const counts = await this.#all((part) => part.ask<number>({ do: 'count' }));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  close(): void {
    for (const part of this.#parts) part.close();
  }

  #all<T>(ask: (part: Helper<CrowdOrder>, index: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#parts.map(ask));
  }
}
