import { usualLimits } from '../../src/actors/engine/limits.ts';
import { ActorSystem } from '../../src/actors/engine/system.ts';
import type { Actor, ActorKind, KindName, Ref, Reply } from '../../src/actors/engine/types.ts';
import { ClusterRouter } from '../../src/cluster/router.ts';
import { ShardMap } from '../../src/cluster/shard-map.ts';
import type { Clock } from '../../src/core/clock.ts';
import { shardCount } from '../../src/core/ids.ts';
import { valueOf } from './orders.ts';

/** The actors of the benchmark, on the real engine behind the real router. */
export type AdderMessage =
  | { readonly type: 'add'; readonly n: number; readonly from: string }
  | { readonly type: 'pass'; readonly left: number; readonly from: string }
  | { readonly type: 'next'; readonly next: Ref<AdderMessage>; readonly finished: () => void }
  | { readonly type: 'echo'; readonly n: number; readonly from: string }
  | { readonly type: 'sum' };

export const adderKind: KindName<AdderMessage> = { kind: 'adder' };

class Adder implements Actor<AdderMessage> {
  #sum = 0;
  #next: Ref<AdderMessage> | undefined = undefined;
  #finished: (() => void) | undefined = undefined;
  readonly #stopped: (sum: number) => void;

  constructor(stopped: (sum: number) => void) {
    this.#stopped = stopped;
  }

  receive(message: AdderMessage, reply: Reply | undefined): void {
    switch (message.type) {
      case 'add':
        this.#sum += message.n;
        return;
      case 'pass':
        this.#sum += valueOf(message.left);
        if (message.left === 1) this.#finished?.();
        else this.#next?.tell({ type: 'pass', left: message.left - 1, from: message.from });
        return;
      case 'echo':
        this.#sum += message.n;
        reply?.ok(message.n);
        return;
      case 'sum':
        reply?.ok(this.#sum);
        return;
      case 'next':
        this.#next = message.next;
        this.#finished = message.finished;
    }
  }

  stopped(): void {
    this.#stopped(this.#sum);
  }
}

/** Filled with a million here: the engine has what a node has, but for the mailbox. */
const mailboxMax = 2_000_000;
export const idleMs = 60_000;

function fail(error: unknown): never {
  throw error instanceof Error ? error : new Error(String(error));
}

export interface Thread {
  readonly system: ActorSystem;
  readonly router: ClusterRouter;
}

/** A thread's actors: all shards are `owner`'s, this thread's own or the other's. */
export function openThread(
  clock: Clock,
  self: string,
  owner: string,
  stopped: (sum: number) => void = () => undefined,
): Thread {
  const kind: ActorKind<AdderMessage> = {
    kind: adderKind.kind,
    mailboxMax,
    idleMs,
    create: () => new Adder(stopped),
  };
  const shards = new ShardMap();
  const router = new ClusterRouter({
    self,
    shards,
    clock,
    wire: undefined,
    heldMax: 1000,
    heldMs: 1000,
    deliver: (envelope, from) => system.deliver(envelope, from),
    passedOn: (ask, thread) => system.passedOn(ask, thread),
    undeliverable: ({ key }) => fail(new Error(`a message to ${key} was lost`)),
  });
  const system = new ActorSystem({
    clock,
    router,
    kinds: [kind],
    limits: usualLimits,
    observer: {
      deadLetters: (count, { reason }) => fail(new Error(`${count} messages were lost: ${reason}`)),
      crashed: ({ error }) => fail(error),
      restarted: () => undefined,
      escalated: fail,
    },
  });
  router.setThreads([owner]);
  for (let shard = 0; shard < shardCount; shard += 1) {
    shards.set(shard, 0, 1);
    if (owner === self) router.setPhase(shard, 'open');
  }
  return { system, router };
}
