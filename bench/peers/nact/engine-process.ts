import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import library from 'nact';
import { fillsOf, valueOf, type Done, type Order } from '../../engine/orders.ts';

/**
 * The engine's work done by nact. Nothing to tune: stateful actors, found by their references; a message costs it a
 * `setImmediate`, a promise and a context. `shutdownAfter` is set only where actors are to end when idle, since it costs
 * a timer an actor and a message.
 */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const askMs = 30_000;
const idleMs = 600_000;
type Message =
  | { readonly type: 'add'; readonly n: number; readonly from: string }
  | { readonly type: 'pass'; readonly left: number; readonly from: string }
  | { readonly type: 'next'; readonly next: Ref<Message>; readonly finished: () => void }
  | { readonly type: 'echo'; readonly n: number; readonly from: Ref<number> }
  | { readonly type: 'sum'; readonly answer: (sum: number) => void };
interface State {
  sum: number;
  next?: Ref<Message>;
  finished?: () => void;
}

/** What is used of it; its own types say of a reference only that it is an object. */
interface Ref<M> {
  readonly name: string;
  readonly accepts?: M;
}
interface Nact {
  start(): Ref<never>;
  spawn(
    parent: Ref<never>,
    receive: (state: State, message: Message) => State,
    name: string,
    properties: { readonly initialStateFunc: () => State; readonly shutdownAfter?: number },
  ): Ref<Message>;
  dispatch<M>(to: Ref<M>, message: M): void;
  query<M, A>(to: Ref<M>, question: (answerTo: Ref<A>) => M, timeoutMs: number): Promise<A>;
  stop(ref: Ref<Message>): void;
}
const nact = library as unknown as Nact;
const system = nact.start();

function receive(state: State, message: Message): State {
  switch (message.type) {
    case 'add':
      state.sum += message.n;
      return state;
    case 'pass':
      state.sum += valueOf(message.left);
      if (message.left === 1) state.finished?.();
      else nact.dispatch(state.next!, { type: 'pass', left: message.left - 1, from: message.from });
      return state;
    case 'echo':
      state.sum += message.n;
      nact.dispatch(message.from, message.n);
      return state;
    case 'sum':
      message.answer(state.sum);
      return state;
    case 'next':
      return { ...state, next: message.next, finished: message.finished };
  }
}

let made = 0;

function spawn(actors: number, isIdleStopped = false): Ref<Message>[] {
  made += 1;
  // Names of our own: those that nact makes up are of 32 bits, and two of 100,000 are the same.
  return Array.from({ length: actors }, (_, index) =>
    nact.spawn(system, receive, `${made}-${index}`, {
      initialStateFunc: () => ({ sum: 0 }),
      ...(isIdleStopped ? { shutdownAfter: idleMs } : {}),
    }),
  );
}

/** By a function in the message: of 100,000 queries some were not answered within half a minute. */
const sumFrom = (ref: Ref<Message>): Promise<number> =>
  new Promise((answer) => nact.dispatch(ref, { type: 'sum', answer }));

async function sums(all: readonly Ref<Message>[]): Promise<number> {
  let sum = 0;
  for (const answer of await Promise.all(all.map(sumFrom))) sum += answer;
  return sum;
}

async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function send(all: readonly Ref<Message>[], first: number, to: number): void {
  let at = first % all.length;
  for (let number = first; number < to; number += 1) {
    nact.dispatch(all[at]!, { type: 'add', n: valueOf(number), from: 'driver' });
    at = at + 1 === all.length ? 0 : at + 1;
  }
}

async function tell(actors: number, burst: number, count: number): Promise<Done> {
  const all = spawn(actors);
  const last = all[Math.min(burst, actors) - 1]!;
  const ms = await timed(async () => {
    for (let first = 0; first < count; first += burst) {
      send(all, first, Math.min(first + burst, count));
      await sumFrom(last);
    }
  });
  return done(all, ms, count, await sums(all));
}

async function depth(order: Extract<Order, { do: 'depth' }>): Promise<Done> {
  const all = spawn(1);
  const fills = fillsOf(order);
  const ms = await timed(async () => {
    for (let fill = 0; fill < fills; fill += 1) {
      send(all, 0, order.depth);
      await sumFrom(all[0]!);
    }
  });
  return done(all, ms, order.depth * fills, await sums(all));
}

async function ring(actors: number, count: number): Promise<Done> {
  const all = spawn(actors);
  const ended = new Promise<void>((finished) => {
    for (const [index, ref] of all.entries())
      nact.dispatch(ref, { type: 'next', next: all[(index + 1) % actors]!, finished });
  });
  await sums(all);
  const ms = await timed(() => {
    nact.dispatch(all[0]!, { type: 'pass', left: count, from: 'driver' });
    return ended;
  });
  return done(all, ms, count, await sums(all));
}

async function ask(inFlight: number, count: number): Promise<Done> {
  const all = spawn(1);
  let sum = 0;
  const ms = await timed(async () => {
    for (let first = 0; first < count; first += inFlight) {
      const answers: Promise<number>[] = [];
      for (let number = first; number < Math.min(first + inFlight, count); number += 1)
        answers.push(
          nact.query(
            all[0]!,
            (answerTo: Ref<number>): Message => ({ type: 'echo', n: valueOf(number), from: answerTo }),
            askMs,
          ),
        );
      for (const answer of answers) sum += await answer;
    }
  });
  return done(all, ms, count, sum);
}

async function wake(actors: number): Promise<Done> {
  collect();
  const before = process.memoryUsage().heapUsed;
  let all: Ref<Message>[] = [];
  const ms = await timed(async () => {
    all = spawn(actors, true);
    send(all, 0, actors);
    await sumFrom(all.at(-1)!);
  });
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / actors;
  const sum = await sums(all);
  const endMs = await timed(() => {
    for (const ref of all) nact.stop(ref);
  });
  return { ms, count: actors, sum, bytes, endMs };
}

function done(all: readonly Ref<Message>[], ms: number, count: number, sum: number): Done {
  for (const ref of all) nact.stop(ref);
  return { ms, count, sum, bytes: 0, endMs: 0 };
}

function carryOut(order: Order): Promise<Done> {
  switch (order.do) {
    case 'tell':
      return tell(order.actors, order.burst, order.count);
    case 'ring':
      return ring(order.actors, order.count);
    case 'ask':
      return ask(order.inFlight, order.count);
    case 'depth':
      return depth(order);
    case 'wake':
      return wake(order.actors);
    case 'cross':
    case 'cross_ask':
      return Promise.reject(new Error('nact knows one thread only'));
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
