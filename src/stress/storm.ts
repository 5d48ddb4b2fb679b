import { realClock } from '../core/real-clock.ts';
import type { Order } from './orders.ts';
import { RawClient, UpgradeRefusedError, type Target } from './raw-client.ts';
import { phasesOf } from './schedule.ts';
import type { Tally } from './tally.ts';
import type { Node } from './target.ts';

/** Connects on their way at once. */
const width = 64;
/** Held open without a word, until the server closes them. */
const heldMax = 8000;
/** Few, as an attacker has: so the limits of an address are met. */
const addresses = 10;

/** Opens connections as fast as it can, and says nothing: `storm`. In a process of its own, lest it delays those who talk. */
export class Storm {
  readonly #order: Order;
  readonly #tally: Tally;
  readonly #held = new Set<RawClient>();
  #isOn = false;
  #count = 0;
  readonly customers = 0;

  constructor(order: Order, tally: Tally) {
    this.#order = order;
    this.#tally = tally;
  }

  get connections(): number {
    return this.#held.size;
  }

  async open(): Promise<void> {
    // Nobody to wait for.
  }

  start(atMs: number): void {
    const { fromMs, toMs } = phasesOf(this.#order.shape)[1]!;
    const now = realClock.nowMs();
    realClock.after(atMs + fromMs - now, () => {
      this.#isOn = true;
      for (let lane = 0; lane < width; lane += 1) void this.#connect();
    });
    realClock.after(atMs + toMs - now, () => this.#stop());
  }

  settle(): Promise<void> {
    this.#stop();
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  #stop(): void {
    this.#isOn = false;
    for (const client of this.#held) client.close();
    this.#held.clear();
  }

  async #connect(): Promise<void> {
    while (this.#isOn) {
      this.#count += 1;
      const node = this.#order.nodes[this.#count % this.#order.nodes.length]!;
      try {
        this.#hold(await RawClient.open(this.#target(node)));
        this.#tally.counts.stormed += 1;
      } catch (error) {
        if (error instanceof UpgradeRefusedError && (error.status === 429 || error.status === 503))
          this.#tally.counts.stormRefused += 1;
        else {
          this.#tally.counts.stormFailed += 1;
          await new Promise((resolve) => void realClock.after(10, () => resolve(0)));
        }
      }
    }
  }

  #target({ host, name, port, isTls, hasSources }: Node): Target {
    const localAddress = `127.0.254.${1 + (this.#count % addresses)}`;
    return { host, name, port, isTls, ...(hasSources ? { localAddress } : {}) };
  }

  #hold(client: RawClient): void {
    if (!this.#isOn) return client.close();
    const [oldest] = this.#held;
    if (oldest !== undefined && this.#held.size >= heldMax) oldest.close();
    this.#held.add(client);
    client.onClose = () => void this.#held.delete(client);
  }
}
