import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { headers as createHeaders, nanos, type NatsConnection } from '@nats-io/nats-core';
import { KefuError } from '../../core/errors.ts';
import type { FeedPublisher } from './feed.ts';
import { natsNames, type NatsNames } from './names.ts';

export interface JetStreamPublisherOptions {
  readonly client: NatsConnection;
  /** Whether the connection stands: the client would keep what it is given and send it much later. */
  readonly isConnected: () => boolean;
  readonly cluster: string;
  /** How long the stream keeps an event. Default 7 days. Of a stream that is there nothing is changed but its copies. */
  readonly maxAgeMs?: number;
}

/** A dead leader is noticed by this; JetStream answers within milliseconds otherwise. */
const answerMs = 2000;
const maxAgeDefaultMs = 7 * 24 * 3_600_000;
/** Within it JetStream drops what it has had. A crash and a restart take seconds. */
const duplicateWindowMs = 10 * 60_000;
const replicasWanted = 3;
/** nats-server's codes for "there are not as many peers", "no cluster" and "not enough room". */
const tooFewPeers = new Set([10005, 10074, 10023]);
/** What the protocol's line, the headers' names and the ids need beside the payload, with some room. */
const overheadBytes = 1024;

/** Publishes to the cluster's stream, which it makes when it isn't there: at first, and when NATS has lost it. */
export class JetStreamPublisher implements FeedPublisher {
  readonly #options: JetStreamPublisherOptions;
  readonly #names: NatsNames;
  readonly #js: JetStreamClient;
  readonly #manager: Promise<JetStreamManager>;
  #stream: Promise<void> | undefined;
  #wasScaled = false;

  constructor(options: JetStreamPublisherOptions) {
    this.#options = options;
    this.#names = natsNames(options.cluster);
    this.#js = jetstream(options.client, { timeout: answerMs });
    // Asks nothing of the server yet.
    this.#manager = jetstreamManager(options.client, { timeout: answerMs, checkAPI: false });
  }

  /** Rejects with `too_large` for what NATS does not take, and with anything else for what may be tried again. */
  async publish(
    subject: string,
    id: string,
    payload: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { client, isConnected } = this.#options;
    if (!isConnected()) throw new KefuError('unavailable', 'NATS is not connected');
    const bytes = Buffer.from(payload);
    if (bytes.length + overheadBytes > (client.info?.max_payload ?? Number.POSITIVE_INFINITY))
      throw new KefuError('too_large', 'NATS takes no message of this size');
    const stream = (this.#stream ??= this.#open());
    try {
      await stream;
      const sent = createHeaders();
      for (const [name, value] of Object.entries(headers)) sent.set(name, value);
      await this.#js.publish(subject, bytes, {
        msgID: id,
        headers: sent,
        expect: { streamName: this.#names.stream },
      });
    } catch (error) {
      // The stream may be gone: the next attempt looks, once for all who fail together.
      if (this.#stream === stream) this.#stream = undefined;
      if (error instanceof JetStreamApiError && error.code === tooLargeForStream)
        throw new KefuError('too_large', 'the stream takes no message of this size', { cause: error });
      throw error;
    }
  }

  async #open(): Promise<void> {
    const manager = await this.#manager;
    const copies = await this.#copiesFound(manager);
    if (copies === undefined) return this.#create(manager);
    const isAlone = this.#options.client.info?.cluster === undefined;
    if (copies >= replicasWanted || this.#wasScaled || isAlone) return;
    // It was made when NATS had fewer servers. Whether it has more now it tells only when it is asked.
    this.#wasScaled = true;
    await manager.streams.update(this.#names.stream, { num_replicas: replicasWanted }).catch(() => undefined);
  }

  async #copiesFound(manager: JetStreamManager): Promise<number | undefined> {
    try {
      return (await manager.streams.info(this.#names.stream)).config.num_replicas;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
        return undefined;
      throw error;
    }
  }

  async #create(manager: JetStreamManager): Promise<void> {
    try {
      await manager.streams.add(this.#config(replicasWanted));
    } catch (error) {
      // Only where it says that it has fewer: a timeout would leave a large cluster with one copy.
      if (!(error instanceof JetStreamApiError) || !tooFewPeers.has(error.code)) throw error;
      await manager.streams.add(this.#config(1));
    }
  }

  #config(copies: number) {
    return {
      name: this.#names.stream,
      description: 'kefu: committed events as CloudEvents',
      subjects: [`${this.#names.events}.*`],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_age: nanos(this.#options.maxAgeMs ?? maxAgeDefaultMs),
      duplicate_window: nanos(Math.min(duplicateWindowMs, this.#options.maxAgeMs ?? duplicateWindowMs)),
      num_replicas: copies,
    };
  }
}

/** nats-server: "message size exceeds maximum allowed". */
const tooLargeForStream = 10054;
