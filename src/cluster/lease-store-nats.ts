import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import type { Clock } from '../core/clock.ts';
import { KefuError, OutcomeUnknownError } from '../core/errors.ts';
import { claimsKept } from './lease-store-local.ts';
import type { NatsLink } from './nats-connection.ts';
import { bucketOf, subjectToken } from './nats-subjects.ts';
import type { Generation, LeaseStore, Member } from './ports.ts';

export interface NatsLeaseStoreOptions {
  readonly link: NatsLink;
  readonly cluster: string;
  readonly clock: Clock;
}

/** All of one call, whatever happens. */
const callMs = 3000;
/** One request of it: what a leader answers takes milliseconds, and there may be another leader by then. */
const requestMs = 900;
const pauseMs = 100;
/** Members that are read at most, and how many at a time. */
const membersMax = 256;
const readsAtOnce = 16;
export const replicasWanted = 3;
/** nats-server's codes for "there are not as many peers", "no cluster" and "not enough room". */
const tooFewPeers = new Set([10005, 10074, 10023]);

/** An attempt's way to say that it settled nothing. */
const again = Symbol('again');

/**
 * The lease store as a KV bucket of JetStream, which is a Raft log. A claim is a key that is created, which on every
 * server version has one winner; updates by revision have not (nats-server issue 4320). All reads are the stream
 * leader's: a KV `get` is answered by any replica, which may be behind. Whoever got no answer looks for its own
 * generation in the key; that is what a nonce would be for, since no other process ever writes it.
 *
 * If NATS lost the bucket, the next call makes it again. What was claimed before is forgotten then; PostgreSQL's
 * epochs are not.
 */
export class NatsLeaseStore implements LeaseStore {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #js: JetStreamClient;
  readonly #manager: Promise<JetStreamManager>;
  #bucket: Promise<void> | undefined;
  #wasScaled = false;
  #replicas = 0;

  constructor({ link, cluster, clock }: NatsLeaseStoreOptions) {
    this.#link = link;
    this.#clock = clock;
    const bucket = bucketOf(cluster);
    this.#stream = `KV_${bucket}`;
    this.#prefix = `$KV.${bucket}`;
    this.#js = jetstream(link.client, { timeout: requestMs });
    // Asks nothing of the server yet.
    this.#manager = jetstreamManager(link.client, { timeout: requestMs, checkAPI: false });
  }

  /** Copies that NATS keeps of the leases: 3 where it has three peers, else 1; 0 before the first call has settled. */
  get replicas(): number {
    return this.#replicas;
  }

  /**
   * Makes the bucket if need be, and asks for three copies where there is one: to be called at the start, and now and
   * then while `replicas` is 1, since NATS may have had too few peers only for a while. Rejects as the others do.
   */
  open(): Promise<void> {
    this.#bucket = undefined;
    this.#wasScaled = false;
    return this.#call('opening the bucket', () => Promise.resolve());
  }

  claim(shard: number, epoch: number, generation: Generation): Promise<boolean> {
    const subject = `${this.#prefix}.claim.${shard}.${epoch}`;
    const value = JSON.stringify({ generation });
    let wasSent = false;
    return this.#call(`claim ${shard}.${epoch}`, async (manager) => {
      if (wasSent) {
        const claimant = await this.#claimantIn(manager, subject);
        if (claimant !== undefined) return claimant === generation;
      }
      wasSent = true;
      if (await this.#create(subject, value)) {
        this.#purgeBehind(manager, shard, epoch);
        return true;
      }
      const claimant = await this.#claimantIn(manager, subject);
      return claimant === undefined ? again : claimant === generation;
    });
  }

  claimant(shard: number, epoch: number): Promise<Generation | undefined> {
    const subject = `${this.#prefix}.claim.${shard}.${epoch}`;
    return this.#call('reading a claim', (manager) => this.#claimantIn(manager, subject));
  }

  heartbeat(member: Member): Promise<void> {
    const { node, process, generation, workers, url, draining, version } = member;
    const value = JSON.stringify({ node, process, generation, workers, url, draining, version });
    return this.#call('heartbeat', async () => {
      await this.#js.publish(this.#memberSubject(generation), value);
    });
  }

  members(): Promise<readonly Member[]> {
    return this.#call('reading the members', async (manager) => {
      const filter = `${this.#prefix}.node.>`;
      const info = await manager.streams.info(this.#stream, { subjects_filter: filter });
      const subjects = Object.keys(info.state.subjects ?? {}).slice(0, membersMax);
      const members: Member[] = [];
      for (let at = 0; at < subjects.length; at += readsAtOnce) {
        const some = subjects.slice(at, at + readsAtOnce);
        for (const value of await Promise.all(some.map((subject) => this.#read(manager, subject))))
          if (isMember(value)) members.push(value);
      }
      return members;
    });
  }

  leave(generation: Generation): Promise<void> {
    const filter = this.#memberSubject(generation);
    return this.#call('leaving', async (manager) => {
      await manager.streams.purge(this.#stream, { filter });
    });
  }

  #memberSubject(generation: Generation): string {
    return `${this.#prefix}.node.${subjectToken(generation)}`;
  }

  /**
   * Attempts until one settles, for 3 s at most; each attempt only while connected, since the client would keep its
   * requests and send them when nobody waits for them any more.
   */
  async #call<T>(
    what: string,
    attempt: (manager: JetStreamManager) => Promise<T | typeof again>,
  ): Promise<T> {
    if (!this.#link.connected) throw new KefuError('unavailable', `${what}: NATS is not connected`);
    const call = { isOver: false, reason: 'no answer' };
    return new Promise<T>((resolve, reject) => {
      const cancel = this.#clock.after(callMs, () => {
        call.isOver = true;
        reject(new OutcomeUnknownError(`${what}: NATS did not settle it in ${callMs} ms (${call.reason})`));
      });
      const settle = async (): Promise<void> => {
        while (!call.isOver) {
          const outcome = await this.#attempt(call, attempt);
          if (outcome === again) {
            await new Promise<void>((done) => void this.#clock.after(pauseMs, done));
            continue;
          }
          cancel();
          return resolve(outcome);
        }
      };
      settle().catch((error: unknown) => {
        cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  async #attempt<T>(
    call: { readonly isOver: boolean; reason: string },
    attempt: (manager: JetStreamManager) => Promise<T | typeof again>,
  ): Promise<T | typeof again> {
    try {
      if (!this.#link.connected) return again;
      const manager = await this.#manager;
      await this.#ensureBucket(manager);
      return call.isOver || !this.#link.connected ? again : await attempt(manager);
    } catch (error) {
      call.reason = error instanceof Error ? error.message : String(error);
      // The bucket may be gone: then nobody answers for it. The next attempt looks.
      this.#bucket = undefined;
      return again;
    }
  }

  /** False: the key exists. */
  async #create(subject: string, value: string): Promise<boolean> {
    try {
      await this.#js.publish(subject, value, { expect: { lastSubjectSequence: 0 } });
      return true;
    } catch (error) {
      if (error instanceof JetStreamApiError && isTaken(error.code)) return false;
      throw error;
    }
  }

  async #claimantIn(manager: JetStreamManager, subject: string): Promise<Generation | undefined> {
    const value = await this.#read(manager, subject);
    const generation = (value as { generation?: unknown } | undefined)?.generation;
    return typeof generation === 'string' ? generation : undefined;
  }

  /** The key's value as the stream's leader has it; undefined where there is none, or none that is JSON. */
  async #read(manager: JetStreamManager, subject: string): Promise<unknown> {
    const message = await manager.streams.getMessage(this.#stream, { last_by_subj: subject });
    if (message === null) return undefined;
    try {
      const value = message.json<unknown>();
      return typeof value === 'object' && value !== null ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** One subject a claim, so that the bucket doesn't grow; nobody waits for it, and what is missed is only kept. */
  #purgeBehind(manager: JetStreamManager, shard: number, epoch: number): void {
    if (epoch <= claimsKept) return;
    const filter = `${this.#prefix}.claim.${shard}.${epoch - claimsKept}`;
    manager.streams.purge(this.#stream, { filter }).catch(() => undefined);
  }

  #ensureBucket(manager: JetStreamManager): Promise<void> {
    this.#bucket ??= this.#openBucket(manager).catch((error: unknown) => {
      this.#bucket = undefined;
      throw error;
    });
    return this.#bucket;
  }

  async #openBucket(manager: JetStreamManager): Promise<void> {
    const found = await this.#replicasFound(manager);
    if (found === undefined) return this.#createBucket(manager);
    this.#replicas = found;
    // A server alone takes any number, and keeps one copy.
    const isAlone = this.#link.client.info?.cluster === undefined;
    if (isAlone) this.#replicas = 1;
    if (found >= replicasWanted || this.#wasScaled || isAlone) return;
    // It was made when NATS had fewer peers. Whether it has more now it tells only when it is asked.
    this.#wasScaled = true;
    try {
      await manager.streams.update(this.#stream, { num_replicas: replicasWanted });
      this.#replicas = replicasWanted;
    } catch {
      // It stays as it is.
    }
  }

  async #replicasFound(manager: JetStreamManager): Promise<number | undefined> {
    try {
      const info = await manager.streams.info(this.#stream);
      return info.config.num_replicas;
    } catch (error) {
      const isGone = error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
      if (isGone) return undefined;
      throw error;
    }
  }

  async #createBucket(manager: JetStreamManager): Promise<void> {
    try {
      await manager.streams.add(this.#config(replicasWanted));
      this.#replicas = replicasWanted;
    } catch (error) {
      // Only where it says that it has fewer: a timeout would leave a large cluster with one copy.
      if (!(error instanceof JetStreamApiError) || !tooFewPeers.has(error.code)) throw error;
      await manager.streams.add(this.#config(1));
      this.#replicas = 1;
    }
  }

  /** A KV bucket as every NATS tool knows it, without direct reads and without an age. */
  #config(replicas: number) {
    return {
      name: this.#stream,
      subjects: [`${this.#prefix}.>`],
      max_msgs_per_subject: 1,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      num_replicas: replicas,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: false,
    };
  }
}

function isTaken(code: number): boolean {
  return (
    code === JetStreamApiCodes.StreamWrongLastSequence ||
    code === JetStreamApiCodes.StreamWrongLastSequenceUnknown
  );
}

function isMember(value: unknown): value is Member {
  const member = value as Partial<Record<keyof Member, unknown>> | undefined;
  return (
    member !== undefined &&
    typeof member.node === 'string' &&
    typeof member.process === 'string' &&
    typeof member.generation === 'string' &&
    typeof member.workers === 'number' &&
    typeof member.url === 'string' &&
    typeof member.draining === 'boolean' &&
    typeof member.version === 'string'
  );
}
