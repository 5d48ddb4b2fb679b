import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connectNats, type NatsLink, type NatsOptions } from '../../src/cluster/nats-connection.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';

/** How long messages took to the feed's consumer, each once. Negative: it had it before the sender had its ack. */
export interface Fed {
  readonly fromAckMs: readonly number[];
  readonly fromAtMs: readonly number[];
}

interface Arrival {
  readonly monotonicMs: number;
  readonly sinceAtMs: number;
}

const settleMs = 10_000;

/** Reads the change feed, and compares it with what was acked. */
export class FeedConsumer {
  readonly #arrived = new Map<string, Arrival>();
  readonly #acked = new Map<string, number>();
  readonly #link: NatsLink;

  private constructor(link: NatsLink) {
    this.#link = link;
  }

  static async start(nats: NatsOptions, stream: string): Promise<FeedConsumer> {
    const link = await connectNats(nats, 'bench feed', () => undefined, {
      clock: realClock,
      chance: realChance,
    });
    const consumer = await jetstream(link.client).consumers.get(stream, {
      deliver_policy: DeliverPolicy.New,
    });
    const feed = new FeedConsumer(link);
    await consumer.consume({ callback: (message) => feed.#take(message.json()) });
    return feed;
  }

  acked(session: string, seq: number): void {
    this.#acked.set(`${session}/${seq}`, realClock.nowMs());
  }

  /** Waits until all that was acked has come. */
  async finish(): Promise<Fed> {
    const untilMs = realClock.nowMs() + settleMs;
    const isMissing = (): boolean => [...this.#acked.keys()].some((id) => !this.#arrived.has(id));
    while (isMissing()) {
      if (realClock.nowMs() > untilMs) throw new Error('some of what was acked never came by the feed');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const fed = [...this.#acked].map(([id, ackedMs]) => {
      const { monotonicMs, sinceAtMs } = this.#arrived.get(id)!;
      return [monotonicMs - ackedMs, sinceAtMs] as const;
    });
    await this.#link.close();
    return { fromAckMs: fed.map(([ms]) => ms), fromAtMs: fed.map(([, ms]) => ms) };
  }

  #take({ id, time }: { id: string; time: string }): void {
    // The second of two is a repeat, which the feed may send.
    if (this.#arrived.has(id)) return;
    this.#arrived.set(id, {
      monotonicMs: realClock.nowMs(),
      sinceAtMs: realClock.wallMs() - Date.parse(time),
    });
  }
}
