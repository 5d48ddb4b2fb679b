import t from 'tap';
import fc from 'fast-check';
import {
  agentKind,
  customerKind,
  sessionKind,
  type AgentProfile,
  type Presence,
} from '../../src/actors/messages.ts';
import type { Actor } from '../../src/rules/session.ts';
import { World } from './world.ts';

/**
 * Promise 4 under every order in which answers may come: no session with two agents, no agent over its capacity; and
 * in the end nobody waits while a fitting agent is free.
 */
const capacity = 2;
const profiles = ['a1', 'a2', 'a3'].map((id): AgentProfile => ({
  id,
  email: id,
  name: id,
  kind: 'agent',
  role: 'agent',
  groups: ['support'],
  capacity,
  presence: 'offline',
}));
const admin: Actor = { kind: 'agent', id: 'boss', name: 'Boss', role: 'admin', groups: [] };

type Step =
  | { readonly do: 'open'; readonly customer: number }
  | { readonly do: 'close'; readonly customer: number }
  | { readonly do: 'transfer'; readonly customer: number; readonly agent: number | null }
  | { readonly do: 'presence'; readonly agent: number; readonly state: Presence }
  | { readonly do: 'leave' | 'come'; readonly agent: number }
  | { readonly do: 'wait'; readonly ms: number };

const customer = fc.nat(7);
const agent = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('open' as const), customer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), customer }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('transfer' as const), customer, agent: fc.option(agent) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('presence' as const),
      agent,
      state: fc.constantFrom<Presence>('online', 'online', 'online', 'busy', 'offline'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), agent }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('come' as const), agent }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 300, 2500) }),
  },
);

const nothing = (): void => undefined;

async function play(scheduler: fc.Scheduler, steps: readonly Step[]): Promise<World> {
  const world = new World(profiles, (label) => scheduler.schedule(Promise.resolve(), label));
  const { system, clock } = world;
  const opened = new Map<number, string>();
  const peer = { thread: 'g', conn: 1 };
  const agentRef = (index: number) => system.ref(agentKind, profiles[index]!.id);
  const act = (it: Exclude<Step, { do: 'wait' }>): void => {
    if (it.do === 'open') {
      const request = { group: 'support', channel: 'web', subject: null, attributes: {} };
      void system
        .ref(customerKind, `c${it.customer}`)
        .ask<{ session: { id: string } }>(
          { type: 'open', customer: { id: `c${it.customer}`, name: '' }, ...request },
          10_000,
        )
        .then(({ session }) => opened.set(it.customer, session.id), nothing);
      return;
    }
    if (it.do === 'close' || it.do === 'transfer') {
      const session = opened.get(it.customer);
      if (session === undefined) return;
      const target = it.do === 'transfer' ? it.agent : null;
      const to = target === null ? { group: 'support' } : { agent: profiles[target]!.id };
      const message =
        it.do === 'close'
          ? ({ type: 'close', who: admin, reason: 'done' } as const)
          : ({ type: 'transfer', who: admin, to, note: null } as const);
      void system.ref(sessionKind, session).ask(message, 10_000).catch(nothing);
      return;
    }
    const ref = agentRef(it.agent);
    if (it.do === 'presence') void ref.ask({ type: 'presence', state: it.state }, 10_000).catch(nothing);
    if (it.do === 'come') void ref.ask({ type: 'connect', peer }, 10_000).catch(nothing);
    if (it.do === 'leave') ref.tell({ type: 'disconnect', peer });
  };
  const turn = async (): Promise<void> => {
    if (scheduler.count() > 0) await scheduler.waitOne();
    await clock.advance(1);
  };
  for (const it of steps) {
    if (it.do === 'wait') await clock.advance(it.ms);
    else act(it);
    await turn();
  }
  // Everybody comes to work, and a minute passes.
  for (let index = 0; index < profiles.length; index += 1) {
    act({ do: 'come', agent: index });
    act({ do: 'presence', agent: index, state: 'online' });
  }
  for (let ms = 0; ms < 60_000; ms += 50) {
    while (scheduler.count() > 0) await scheduler.waitOne();
    await clock.advance(50);
  }
  return world;
}

function check(world: World): void {
  if (world.crashes.length > 0) throw world.crashes[0];
  const holder = new Map<string, string>();
  const open = new Map<string, number>();
  for (const { session, type, agent: id } of world.log) {
    const before = holder.get(session);
    if (type === 'assigned' && before !== undefined)
      throw new Error(`${session} was given to ${id} while ${before} had it`);
    if (type === 'assigned') {
      holder.set(session, id!);
      open.set(id!, (open.get(id!) ?? 0) + 1);
      if (open.get(id!)! > capacity) throw new Error(`${id} is over its capacity`);
    } else if ((type === 'transferring' || type === 'closed') && before !== undefined) {
      holder.delete(session);
      open.set(before, open.get(before)! - 1);
    }
  }
  const byCustomer = new Set<string>();
  for (const state of world.tables.values()) {
    if (state.state === 'closed') continue;
    if (byCustomer.has(state.customer.id)) throw new Error(`${state.customer.id} has two open sessions`);
    byCustomer.add(state.customer.id);
    const waits = state.state === 'waiting' || state.state === 'transferring';
    const fitting = profiles.filter(({ id }) => state.target === null || state.target === id);
    const free = fitting.filter(({ id }) => (open.get(id) ?? 0) < capacity);
    if (waits && free.length > 0) throw new Error(`${state.id} waits though ${free[0]!.id} is free`);
  }
}

t.setTimeout(240_000);
t.test(
  'no double assignment, nobody over capacity, nobody waits for no reason, in any order of answers',
  async (t) => {
    let assigned = 0;
    const property = fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 10, maxLength: 60 }),
      async (scheduler, steps) => {
        const world = await play(scheduler, steps);
        check(world);
        assigned += world.log.filter(({ type }) => type === 'assigned').length;
        await world.system.shutdown();
      },
    );
    // A failure prints both: SEED=… SEED_PATH=… node test/actors/assignment.test.ts plays it again.
    const { SEED: seed, SEED_PATH: path = '0', ASSIGNMENT_RUNS: runs = '60' } = process.env;
    const again = seed === undefined ? {} : { seed: Number(seed), path };
    await fc.assert(property, { numRuns: Number(runs), endOnFailure: true, ...again });
    t.ok(assigned > 100, `${assigned} assignments`);
  },
);
