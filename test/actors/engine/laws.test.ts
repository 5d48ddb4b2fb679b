import fc from 'fast-check';
import t from 'tap';
import type { ActorKind, Context } from '../../../src/actors/engine/types.ts';
import { outcomeOf, world, type Outcome, type World } from './world.ts';

/**
 * Random senders, messages and misfortunes against a model of twenty lines: a mailbox is an array with a maximum;
 * what was accepted and not dropped by an eviction is handled once, in order, one at a time, by a living instance.
 */

type How = 'note' | 'crash' | 'wait' | 'wait and crash' | 'stop' | 'wait and stop';

interface Job {
  readonly type: string;
  readonly sender: number;
  readonly n: number;
  readonly how: How;
}

type Command =
  | {
      readonly do: 'tell' | 'deliver' | 'ask';
      readonly key: number;
      readonly sender: number;
      readonly how: How;
    }
  | { readonly do: 'evict' | 'notify'; readonly key: number }
  | { readonly do: 'advance'; readonly ms: number };

const mailboxMax = 4;
const keys = ['a', 'b', 'c'];

/** The trivial model of one address. */
class Model {
  readonly accepted: Job[] = [];
  readonly handled: Job[] = [];
  waiting: Job[] = [];

  accept(job: Job, taken: boolean): void {
    if (taken !== this.waiting.length < mailboxMax)
      throw new Error(`bound: ${this.waiting.length}, ${taken}`);
    if (!taken) return;
    this.accepted.push(job);
    this.waiting.push(job);
  }

  handle(job: Job): void {
    if (this.waiting.shift() !== job) throw new Error(`job ${job.n} was not the next one`);
    this.handled.push(job);
  }
}

class Trial {
  readonly models = new Map(keys.map((key) => [key, new Model()]));
  readonly place: World;
  readonly asked: { job: Job; outcome: Outcome; evicted: boolean }[] = [];
  /** Handlers on the stack or pending of an instance that has not been evicted. */
  readonly busy = new Map<string, object>();
  readonly living = new Map<string, object>();
  #n = 0;

  constructor(loadMs: number) {
    this.place = world([this.#kind(loadMs)], {
      limits: { turnMessages: 2, restartsMax: 1e6, restartBackoffMinMs: 3, restartBackoffMaxMs: 20 },
    });
    this.place.witness.onCrash = ({ key, directive }) => {
      // 'stop' is what becomes of an evicted one, here; its successor may be alive.
      if (directive === 'stop') return;
      this.living.delete(key);
      this.busy.delete(key);
    };
  }

  #kind(loadMs: number): ActorKind<Job> {
    return {
      kind: 'worker',
      mailboxMax,
      idleMs: 150,
      create: (context) => {
        const life = {};
        this.living.set(context.key, life);
        const load = () => later(context, loadMs);
        return {
          ...(loadMs === 0 ? {} : { load }),
          receive: (job, reply) => {
            if (job.type === 'notice') return undefined;
            return this.#work(context, life, job, () => reply?.ok(job.n));
          },
          stopped: () => {
            if (this.living.get(context.key) === life) this.living.delete(context.key);
          },
        };
      },
    };
  }

  #work(context: Context<Job>, life: object, job: Job, answer: () => void): void | Promise<void> {
    const { key } = context;
    if (this.living.get(key) !== life) throw new Error('handled by an instance that had ended');
    if (this.busy.has(key)) throw new Error('two at a time');
    this.models.get(key)!.handle(job);
    const finish = (): void => {
      if (job.how.endsWith('crash')) throw new Error('on purpose');
      if (job.how.endsWith('stop')) {
        context.stop();
        if (this.living.get(key) === life) this.living.delete(key);
      }
      answer();
    };
    if (!job.how.startsWith('wait')) return finish();
    this.busy.set(key, life);
    return later(context, 7).then(() => {
      if (this.busy.get(key) === life) this.busy.delete(key);
      finish();
    });
  }

  async run(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      if (command.do === 'advance') await this.place.clock.advance(command.ms);
      else if ('how' in command) this.#send(command.do, keys[command.key]!, command.sender, command.how);
      else if (command.do === 'notify') this.#notify(keys[command.key]!);
      else this.#evict(keys[command.key]!);
    }
    await this.place.clock.advance(60_000);
  }

  #notify(key: string): void {
    this.place.system.notify<Job>({ kind: 'worker' }, key, { type: 'notice', sender: 0, n: 0, how: 'note' });
  }

  #evict(key: string): void {
    const model = this.models.get(key)!;
    void this.place.system.stopKeys((_kind, each) => each === key);
    for (const ask of this.asked) if (model.waiting.includes(ask.job)) ask.evicted = true;
    model.waiting = [];
    this.living.delete(key);
    this.busy.delete(key);
  }

  #send(by: 'tell' | 'deliver' | 'ask', key: string, sender: number, how: How): void {
    const { system } = this.place;
    const ref = system.ref<Job>({ kind: 'worker' }, key);
    const model = this.models.get(key)!;
    const job: Job = { type: 'job', sender, n: (this.#n += 1), how };
    const room = model.waiting.length < mailboxMax;
    if (by === 'tell') {
      model.accept(job, ref.tell(job));
    } else if (by === 'deliver') {
      const dead = system.stats().deadLetters;
      system.deliver({ kind: 'worker', key, message: job }, `thread ${sender}`);
      model.accept(job, system.stats().deadLetters === dead);
    } else {
      this.asked.push({ job, outcome: outcomeOf(ref.ask(job, 50_000)), evicted: false });
      model.accept(job, room);
    }
  }

  check(): void {
    for (const model of this.models.values()) {
      if (model.waiting.length > 0) throw new Error('accepted, never handled');
    }
    const handled = new Set([...this.models.values()].flatMap((model) => model.handled));
    for (const { job, outcome, evicted } of this.asked) {
      let expected = 'ok';
      if (evicted) expected = 'unavailable';
      else if (!handled.has(job)) expected = 'busy';
      else if (job.how.endsWith('crash')) expected = 'internal';
      if (outcome.code !== expected) throw new Error(`${job.how}: ${outcome.code} instead of ${expected}`);
      if (expected === 'ok' && outcome.value !== job.n) throw new Error('another one’s answer');
    }
    for (const { error } of this.place.witness.crashes) {
      if (!(error instanceof Error) || error.message !== 'on purpose') throw error;
    }
    const stats = this.place.system.stats();
    if (stats.actors['worker'] !== 0 || stats.asks !== 0) throw new Error('something was left behind');
    if (this.place.clock.timers !== 0) throw new Error('a timer was left behind');
  }
}

function later(context: Context<Job>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    context.clock.after(ms, resolve);
  });
}

const key = fc.nat(keys.length - 1);
const how = fc.oneof(
  { weight: 6, arbitrary: fc.constant<How>('note') },
  fc.constantFrom<How>('crash', 'wait', 'wait and crash', 'stop', 'wait and stop'),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constantFrom('tell', 'deliver', 'ask'), key, sender: fc.nat(2), how }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constant(400) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('evict', 'notify'), key }) },
);

t.test(
  'whatever happens: order, one at a time, bounds, nothing lost by a crash, nothing handled after a stop',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 150, size: 'max' }),
        fc.constantFrom(0, 5),
        async (commands, loadMs) => {
          const trial = new Trial(loadMs);
          await trial.run(commands);
          trial.check();
        },
      ),
      { numRuns: 1000 },
    );
  },
);

t.test('a run on the virtual clock is the same each time', async (t) => {
  const commands = fc.sample(fc.array(command, { minLength: 100, maxLength: 100 }), {
    numRuns: 1,
    seed: 7,
  })[0]!;
  const trace = async (): Promise<unknown> => {
    const trial = new Trial(5);
    await trial.run(commands);
    const { crashes } = trial.place.witness;
    return [
      [...trial.models.values()].map((model) => model.handled.map((job) => job.n)),
      crashes.length,
      trial.place.clock.nowMs(),
    ];
  };
  t.same(await trace(), await trace());
});
