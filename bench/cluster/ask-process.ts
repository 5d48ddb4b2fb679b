import { Packr } from 'msgpackr';
import { usualLimits } from '../../src/actors/engine/limits.ts';
import { ActorSystem } from '../../src/actors/engine/system.ts';
import type { ActorKind, KindName } from '../../src/actors/engine/types.ts';
import { connectNats, type NatsLink, type NatsOptions } from '../../src/cluster/nats-connection.ts';
import { ClusterRouter } from '../../src/cluster/router.ts';
import { ShardMap } from '../../src/cluster/shard-map.ts';
import { NatsWire } from '../../src/cluster/wire-nats.ts';
import { shardCount } from '../../src/core/ids.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { askFor, askMs, compare, question, type Asked, type Load, type Question } from './asking.ts';

/** One of two processes: asks actors of the other over the real wire, or is asked; the same with bare NATS requests. */
export type AskOrder =
  | { readonly do: 'join'; readonly nats: NatsOptions; readonly role: 'asker' | 'answerer' }
  | { readonly do: 'ask'; readonly how: AskKind; readonly load: Load; readonly ms: number };

/** `actor`: an ask to an actor; `bare`: a request of NATS with the same bytes. */
export type AskKind = 'actor' | 'bare';

const threads = { asker: 'asker~1/0', answerer: 'answerer~1/0' } as const;
const subject = 'bench.bare';
const echoKind: KindName<Question> = { kind: 'echo' };
/** Actors that are asked in turn. */
const keys = Array.from({ length: 64 }, (_, index) => `key${index}`);

/** What a question is on the wire, without its envelope. */
const bareBytes = new Packr({ useRecords: false }).pack(question(1e9));

let link: NatsLink;
let system: ActorSystem;

async function join(nats: NatsOptions, role: 'asker' | 'answerer'): Promise<void> {
  link = await connectNats(nats, role, () => undefined, { clock: realClock, chance: realChance });
  const shards = new ShardMap();
  const self = threads[role];
  const wire = new NatsWire({
    link,
    cluster: nats.cluster,
    thread: self,
    clock: realClock,
    deliver: (from, envelopes) => router.receive(envelopes, from),
  });
  const router = new ClusterRouter({
    self,
    shards,
    clock: realClock,
    wire,
    heldMax: 1000,
    heldMs: 1000,
    deliver: (envelope, from) => system.deliver(envelope, from),
    passedOn: () => undefined,
    undeliverable: () => undefined,
  });
  system = new ActorSystem({ clock: realClock, router, kinds: [echo()], limits: usualLimits, observer });
  router.setThreads([threads.answerer]);
  for (let shard = 0; shard < shardCount; shard += 1) {
    shards.set(shard, 0, 1);
    if (role === 'answerer') router.setPhase(shard, 'open');
  }
  if (role === 'answerer')
    link.client.subscribe(subject, { callback: (_error, message) => void message.respond(message.data) });
  await link.client.flush();
}

function echo(): ActorKind<unknown> {
  const kind: ActorKind<Question> = {
    kind: echoKind.kind,
    mailboxMax: 1000,
    idleMs: 60_000,
    create: () => ({ receive: (message, reply) => reply?.ok(message) }),
  };
  return kind;
}

const observer = {
  deadLetters: () => undefined,
  crashed: ({ error }: { error: unknown }) => fail(error),
  restarted: () => undefined,
  escalated: (error: unknown) => fail(error),
};

function fail(error: unknown): never {
  throw error instanceof Error ? error : new Error(String(error));
}

async function askActor(number: number): Promise<void> {
  const ref = system.ref(echoKind, keys[number % keys.length]!);
  compare(await ref.ask<Question>(question(number), askMs), number);
}

async function askBare(): Promise<void> {
  const answer = await link.client.request(subject, bareBytes, { timeout: askMs });
  if (answer.data.length !== bareBytes.length) throw new Error('another answer than was asked for');
}

process.on('message', (order: AskOrder) => {
  const done: Promise<Asked | void> =
    order.do === 'join'
      ? join(order.nats, order.role)
      : askFor(order.how === 'actor' ? askActor : askBare, order.load, order.ms);
  done.then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
