import { ActorSystem } from '../../../src/actors/engine/system.ts';
import type {
  ActorKind,
  Context,
  Directive,
  Envelope,
  Limits,
  Observer,
  Ref,
  Reply,
  Router,
  ThreadId,
} from '../../../src/actors/engine/types.ts';
import { KefuError, OutcomeUnknownError } from '../../../src/core/errors.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

export const limits: Limits = {
  turnMessages: 64,
  turnMs: 5,
  restartsMax: 5,
  restartWindowMs: 30_000,
  restartBackoffMinMs: 100,
  restartBackoffMaxMs: 1000,
  asksMax: 1000,
};

export interface CrashReport {
  readonly kind: string;
  readonly key: string;
  readonly error: unknown;
  readonly lastMessage: string;
  readonly state: unknown;
  readonly directive: Directive;
}

/** An observer that remembers. */
export class Witness implements Observer {
  readonly letters: { count: number; reason: string; key: string }[] = [];
  readonly crashes: CrashReport[] = [];
  readonly restarts: string[] = [];
  readonly escalations: unknown[] = [];
  onCrash: (report: CrashReport) => void = () => undefined;
  onRestart: (key: string) => void = () => undefined;

  deadLetters(count: number, sample: { kind: string; key: string; reason: string }): void {
    this.letters.push({ count, reason: sample.reason, key: sample.key });
  }

  crashed(report: CrashReport): void {
    this.crashes.push(report);
    this.onCrash(report);
  }

  restarted(_kind: string, key: string): void {
    this.restarts.push(key);
    this.onRestart(key);
  }

  escalated(error: unknown): void {
    this.escalations.push(error);
  }
}

const here: Router = { ownerOf: () => undefined, send: () => false };

export interface World {
  readonly clock: VirtualClock;
  readonly witness: Witness;
  readonly system: ActorSystem;
}

export function world(
  kinds: readonly ActorKind<unknown>[],
  options: { limits?: Partial<Limits>; router?: Router; clock?: VirtualClock } = {},
): World {
  const clock = options.clock ?? new VirtualClock();
  const witness = new Witness();
  const system = new ActorSystem({
    clock,
    observer: witness,
    router: options.router ?? here,
    limits: { ...limits, ...options.limits },
    kinds,
  });
  return { clock, witness, system };
}

/** Threads in one process: envelopes are cloned, take `latencyMs`, and may be lost on the way. */
export class Network {
  readonly systems = new Map<ThreadId, ActorSystem>();
  readonly clock: VirtualClock;
  latencyMs = 1;
  /** Whether the link takes it at all. */
  takes: (to: ThreadId, envelope: Envelope) => boolean = () => true;
  /** Whether it is lost on the way. */
  loses: (to: ThreadId, envelope: Envelope) => boolean = () => false;
  /** The owner of a key: its part before the colon. */
  ownerOf: (key: string) => ThreadId = (key) => key.slice(0, key.indexOf(':'));
  sent = 0;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  router(self: ThreadId): Router {
    return {
      ownerOf: (_kind, key) => {
        const owner = this.ownerOf(key);
        return owner === self ? undefined : owner;
      },
      send: (to, envelope) => {
        if (!this.takes(to, envelope)) return false;
        this.sent += 1;
        if (this.loses(to, envelope)) return true;
        const copy = structuredClone(envelope);
        this.clock.after(this.latencyMs, () => this.systems.get(to)?.deliver(copy, self));
        return true;
      },
    };
  }

  add(thread: ThreadId, kinds: readonly ActorKind<unknown>[], change: Partial<Limits> = {}): World {
    const made = world(kinds, { clock: this.clock, router: this.router(thread), limits: change });
    this.systems.set(thread, made.system);
    return made;
  }
}

/** How an ask ended: its value, or the code of its refusal; 'open' while it waits. */
export interface Outcome {
  value: unknown;
  code: string;
  message: string;
  /** Nobody knows whether the actor acted. */
  unknown: boolean;
}

export function outcomeOf(asked: Promise<unknown>): Outcome {
  const outcome: Outcome = { value: undefined, code: 'open', message: '', unknown: false };
  asked.then(
    (value: unknown) => Object.assign(outcome, { value, code: 'ok' }),
    (error: unknown) => {
      outcome.code = error instanceof KefuError ? error.code : 'not a KefuError';
      outcome.unknown = error instanceof OutcomeUnknownError;
      outcome.message = error instanceof Error ? error.message : '';
    },
  );
  return outcome;
}

/** A message that says what its handler does, so that one actor serves most tests. */
export interface Order {
  readonly type: string;
  readonly run?: (hand: Hand) => void | Promise<void>;
}

/** What an order finds in its hands. */
export interface Hand {
  readonly instance: Instance;
  readonly context: Context<Order>;
  readonly reply: Reply | undefined;
}

/** One life of the obedient actor, as a test sees it. */
export class Instance {
  readonly key: string;
  readonly restarted: boolean;
  readonly handled: string[] = [];
  stops = 0;

  constructor(key: string, restarted: boolean) {
    this.key = key;
    this.restarted = restarted;
  }
}

export interface Obedient {
  readonly kind: ActorKind<Order>;
  /** All lives of all keys, in order. */
  readonly lives: Instance[];
  /** All messages handled by any of them, in order. */
  readonly handled: string[];
  load: (() => Promise<void>) | undefined;
  mayPassivate: () => boolean;
  describe: () => unknown;
}

/** An actor that does what its messages say. */
export function obedient(change: Partial<ActorKind<Order>> = {}): Obedient {
  const made: Obedient = {
    lives: [],
    handled: [],
    load: undefined,
    mayPassivate: () => true,
    describe: () => undefined,
    kind: {
      kind: 'obedient',
      mailboxMax: 100,
      idleMs: 60_000,
      create(context) {
        const instance = new Instance(context.key, context.restarted);
        made.lives.push(instance);
        const load = made.load;
        return {
          ...(load === undefined ? {} : { load }),
          receive(order, reply) {
            instance.handled.push(order.type);
            made.handled.push(order.type);
            return order.run?.({ instance, context, reply });
          },
          mayPassivate: () => made.mayPassivate(),
          describe: () => made.describe(),
          stopped() {
            instance.stops += 1;
          },
        };
      },
      ...change,
    },
  };
  return made;
}

export function refTo(place: World, key = 'a'): Ref<Order> {
  return place.system.ref<Order>({ kind: 'obedient' }, key);
}

/** A promise and what settles it. */
export function gate(): { opened: Promise<void>; open: () => void; break: (error: unknown) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve, break: reject };
}
