import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Ref } from '../../src/actors/engine/types.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { adderKind, idleMs, openThread, type AdderMessage, type Thread } from './adders.ts';
import { fillsOf, valueOf, type Done, type Order } from './orders.ts';
import { SkippingClock } from './skipping-clock.ts';
import { linkTo, type Link } from './worker.ts';

/** kefu's engine, driven from outside its actors as the gateway drives it: tells and asks by ref. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const askMs = 30_000;
const from = 'driver';
let made = 0;
let other: Thread | undefined;

/** Actors that nobody has told anything yet, each known by its ref. */
function refs(thread: Thread, actors: number): Ref<AdderMessage>[] {
  made += 1;
  return Array.from({ length: actors }, (_, index) => thread.system.ref(adderKind, `${made}/${index}`));
}

async function sums(all: readonly Ref<AdderMessage>[]): Promise<number> {
  let sum = 0;
  for (const ref of all) sum += await ref.ask<number>({ type: 'sum' }, askMs);
  return sum;
}

async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function send(all: readonly Ref<AdderMessage>[], first: number, to: number): void {
  let at = first % all.length;
  for (let number = first; number < to; number += 1) {
    all[at]!.tell({ type: 'add', n: valueOf(number), from });
    at = at + 1 === all.length ? 0 : at + 1;
  }
}

async function bursts(all: readonly Ref<AdderMessage>[], burst: number, count: number): Promise<void> {
  const last = all[Math.min(burst, all.length) - 1]!;
  for (let first = 0; first < count; first += burst) {
    send(all, first, Math.min(first + burst, count));
    await last.ask({ type: 'sum' }, askMs);
  }
}

async function tell(thread: Thread, actors: number, burst: number, count: number): Promise<Done> {
  const all = refs(thread, actors);
  // They are there before the clock starts, as Erlang's are.
  await sums(all);
  const ms = await timed(() => bursts(all, burst, count));
  return done(thread, ms, count, await sums(all));
}

async function ring(thread: Thread, actors: number, count: number): Promise<Done> {
  const all = refs(thread, actors);
  const ended = new Promise<void>((finished) => {
    for (const [index, ref] of all.entries())
      ref.tell({ type: 'next', next: all[(index + 1) % actors]!, finished });
  });
  const ms = await timed(() => {
    all[0]!.tell({ type: 'pass', left: count, from });
    return ended;
  });
  return done(thread, ms, count, await sums(all));
}

async function ask(thread: Thread, inFlight: number, count: number): Promise<Done> {
  const [ref] = refs(thread, 1);
  let sum = 0;
  const ms = await timed(async () => {
    for (let first = 0; first < count; first += inFlight) {
      const answers: Promise<number>[] = [];
      for (let number = first; number < Math.min(first + inFlight, count); number += 1)
        answers.push(ref!.ask<number>({ type: 'echo', n: valueOf(number), from }, askMs));
      for (const answer of answers) sum += await answer;
    }
  });
  return done(thread, ms, count, sum);
}

async function depth(thread: Thread, order: Extract<Order, { do: 'depth' }>): Promise<Done> {
  const all = refs(thread, 1);
  const fills = fillsOf(order);
  const ms = await timed(async () => {
    for (let fill = 0; fill < fills; fill += 1) {
      send(all, 0, order.depth);
      await all[0]!.ask({ type: 'sum' }, askMs);
    }
  });
  return done(thread, ms, order.depth * fills, await sums(all));
}

/** The actors of an order must not be in the next one's way. */
async function done(thread: Thread, ms: number, count: number, sum: number): Promise<Done> {
  await thread.system.stopKind(adderKind.kind);
  return { ms, count, sum, bytes: 0, endMs: 0 };
}

async function wake(actors: number): Promise<Done> {
  const clock = new SkippingClock();
  const state = { sum: 0, left: actors, ended: (): void => undefined };
  const thread = openThread(clock, 'a', 'a', (sum) => {
    state.sum += sum;
    state.left -= 1;
    if (state.left === 0) state.ended();
  });
  collect();
  const before = process.memoryUsage().heapUsed;
  const ms = await timed(async () => {
    for (let number = 0; number < actors; number += 1)
      thread.system.ref(adderKind, `key${number}`).tell({ type: 'add', n: valueOf(number), from });
    await thread.system.ref(adderKind, `key${actors - 1}`).ask({ type: 'sum' }, askMs);
  });
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / actors;
  const ended = new Promise<void>((resolve) => (state.ended = resolve));
  const endMs = await timed(() => {
    clock.skip(2 * idleMs);
    return ended;
  });
  if (thread.system.stats().actors['adder'] !== 0) throw new Error('actors are left');
  await thread.system.shutdown();
  return { ms, count: actors, sum: state.sum, bytes, endMs };
}

const local = openThread(realClock, 'a', 'a');

/** This thread with a link to another one, which has all actors. */
function across(): Thread {
  if (other !== undefined) return other;
  other = openThread(realClock, 'a', 'b');
  const worker = new Worker(new URL('worker.ts', import.meta.url));
  const { port1, port2 } = new MessageChannel();
  const [toB, toA] = [new SharedArrayBuffer(8), new SharedArrayBuffer(8)];
  const link: Link = { thread: 'a', port: port2, sent: toA, received: toB };
  worker.postMessage(link, [port2]);
  linkTo(other, { thread: 'b', port: port1, sent: toB, received: toA });
  return other;
}

function carryOut(order: Order): Promise<Done> {
  switch (order.do) {
    case 'tell':
      return tell(local, order.actors, order.burst, order.count);
    case 'ring':
      return ring(local, order.actors, order.count);
    case 'ask':
      return ask(local, order.inFlight, order.count);
    case 'depth':
      return depth(local, order);
    case 'cross':
      return tell(across(), 1, order.burst, order.count);
    case 'cross_ask':
      return ask(across(), order.inFlight, order.count);
    case 'wake':
      return wake(order.actors);
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
