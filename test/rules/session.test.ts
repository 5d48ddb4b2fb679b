import t from 'tap';
import fc from 'fast-check';
import {
  decide,
  evolve,
  mayRead,
  maySee,
  systemSender,
  type Actor,
  type Command,
  type SessionEvent,
  type SessionState,
} from '../../src/rules/session.ts';

const customer: Actor = { kind: 'customer', id: 'c1', name: 'Mei' };
const stranger: Actor = { kind: 'customer', id: 'c2', name: 'Stranger' };
const agents: Actor[] = ['a1', 'a2'].map((id) => ({
  kind: 'agent',
  id,
  name: id,
  role: 'agent',
  groups: ['support'],
}));
const outsider: Actor = { kind: 'agent', id: 'a9', name: 'Other', role: 'agent', groups: ['sales'] };
const admin: Actor = { kind: 'agent', id: 'boss', name: 'Boss', role: 'admin', groups: [] };

const open: Command = {
  type: 'open',
  id: 's1',
  customer: { id: 'c1', name: 'Mei' },
  group: 'support',
  channel: 'web',
  subject: null,
  attributes: {},
  lastAgent: null,
  previous: null,
};

const anybody = fc.constantFrom<Actor>(customer, stranger, ...agents, outsider, admin, systemSender);
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.constant(open),
  fc.record({
    type: fc.constant('say' as const),
    id: fc.string(),
    body: fc.constant({ type: 'text', text: 'x' }),
  }),
  fc.record({
    type: fc.constant('assign' as const),
    agent: fc.constantFrom({ id: 'a1', name: 'a1' }, { id: 'a2', name: 'a2' }),
  }),
  fc.record({
    type: fc.constant('transfer' as const),
    to: fc.constantFrom({ agent: 'a1' }, { agent: 'a2' }, { group: 'sales' }, { group: 'support' }),
    note: fc.constantFrom(null, 'please'),
  }),
  fc.record({
    type: fc.constant('requeue' as const),
    agent: fc.constantFrom('a1', 'a2'),
    reason: fc.constant('agent_away'),
  }),
  fc.constant<Command>({ type: 'retarget' }),
  fc.record({ type: fc.constant('close' as const), reason: fc.constant('done') }),
  fc.record({
    type: fc.constant('rate' as const),
    score: fc.integer({ min: 1, max: 5 }),
    comment: fc.constant(null),
  }),
);
const script = fc.array(fc.tuple(anyCommand, anybody), { maxLength: 60 });

/** The table of the contract: from which state each change may be made, and what follows. */
const table: Record<string, { from: (SessionState['state'] | undefined)[]; to: SessionState['state'] }> = {
  opened: { from: [undefined], to: 'waiting' },
  assigned: { from: ['waiting', 'transferring'], to: 'chatting' },
  transferring: { from: ['chatting'], to: 'transferring' },
  retargeted: { from: ['transferring'], to: 'transferring' },
  closed: { from: ['waiting', 'chatting', 'transferring'], to: 'closed' },
};

interface Run {
  state: SessionState | undefined;
  log: SessionEvent[];
}

function play(
  steps: readonly (readonly [Command, Actor])[],
  each?: (before: Run, after: Run, step: Actor) => void,
): Run {
  let run: Run = { state: undefined, log: [] };
  let at = 1000;
  for (const [command, who] of steps) {
    const before = run;
    const decision = decide(command, run.state, who);
    if ('events' in decision) {
      let { state } = run;
      const log = [...run.log];
      for (const body of decision.events) {
        const event: SessionEvent = { ...body, seq: (state?.lastSeq ?? 0) + 1, at: (at += 1), from: who };
        state = evolve(state, event, 's1');
        log.push(event);
      }
      run = { state, log };
    }
    each?.(before, run, who);
  }
  return run;
}

t.test('no sequence of commands reaches a state that the table forbids', async (t) => {
  fc.assert(
    fc.property(script, (steps) => {
      play([[open, customer], ...steps], (before, after) => {
        let state = before.state?.state;
        for (const event of after.log.slice(before.log.length)) {
          const rule = table[event.type];
          if (rule !== undefined && !rule.from.includes(state))
            throw new Error(`${event.type} from ${state}`);
          if (rule === undefined && event.type !== 'rated' && state === 'closed')
            throw new Error(`${event.type} after closed`);
          state = rule?.to ?? state;
        }
        if (after.state?.state !== state) throw new Error(`${after.state?.state} instead of ${state}`);
      });
    }),
    { numRuns: 3000 },
  );
  t.pass('3,000 histories');
});

t.test('replaying the events gives the same state', async (t) => {
  fc.assert(
    fc.property(script, (steps) => {
      const { state, log } = play([[open, customer], ...steps]);
      let replayed: SessionState | undefined;
      for (const event of log) replayed = evolve(replayed, event, 's1');
      if (JSON.stringify(replayed) !== JSON.stringify(state)) throw new Error('another state');
      if (log.some((event, index) => event.seq !== index + 1)) throw new Error('a gap in seq');
    }),
    { numRuns: 2000 },
  );
  t.pass('2,000 histories');
});

t.test('a refusal leaves no event, and has a code and a sentence', async (t) => {
  let refusals = 0;
  fc.assert(
    fc.property(script, anyCommand, anybody, (steps, command, who) => {
      const { state } = play([[open, customer], ...steps]);
      const before = JSON.stringify(state);
      const decision = decide(command, state, who);
      if (JSON.stringify(state) !== before) throw new Error('decide changed the state');
      if ('refusal' in decision) {
        refusals += 1;
        if ('events' in decision) throw new Error('both');
        if (decision.refusal.code.length === 0 || decision.refusal.message.length < 10)
          throw new Error('no reason');
      } else if (decision.events.length === 0) throw new Error('neither event nor refusal');
    }),
    { numRuns: 2000 },
  );
  t.ok(refusals > 200, 'many were refused');
});

t.test(
  'only participants speak, only the holder or an admin transfers, nobody from outside closes',
  async (t) => {
    fc.assert(
      fc.property(script, (steps) => {
        play([[open, customer], ...steps], (before, after, who) => {
          for (const event of after.log.slice(before.log.length)) {
            const holder = before.state?.state === 'chatting' ? before.state.agent?.id : undefined;
            if (event.type === 'message' && who.id !== 'c1' && who.id !== before.state?.agent?.id)
              throw new Error('spoke');
            if (
              event.type === 'transferring' &&
              who.id !== holder &&
              who.role !== 'admin' &&
              who.kind !== 'system'
            )
              throw new Error('transferred');
            if (event.type === 'closed' && [stranger.id, outsider.id].includes(who.id))
              throw new Error('closed');
            if (event.type === 'rated' && who.id !== 'c1') throw new Error('rated');
            if (event.type === 'assigned' && who.kind !== 'system') throw new Error('assigned');
          }
        });
      }),
      { numRuns: 2000 },
    );
    t.pass('2,000 histories');
  },
);

t.test('a session is rated once, after it was closed', async (t) => {
  const { state } = play([
    [open, customer],
    [{ type: 'rate', score: 5, comment: null }, customer],
    [{ type: 'close', reason: 'done' }, customer],
    [{ type: 'rate', score: 4, comment: null }, customer],
    [{ type: 'rate', score: 1, comment: null }, customer],
  ]);
  t.match(state, { state: 'closed', rated: true, lastSeq: 3 });
});

t.test('a transfer to an agent is for that agent until it leaves', async (t) => {
  const steps: [Command, Actor][] = [
    [open, customer],
    [{ type: 'assign', agent: { id: 'a1', name: 'a1' } }, systemSender],
    [{ type: 'transfer', to: { agent: 'a2' }, note: 'vip' }, agents[0]!],
    [{ type: 'assign', agent: { id: 'a1', name: 'a1' } }, systemSender],
  ];
  const waiting = play(steps);
  t.match(waiting.state, { state: 'transferring', target: 'a2', priority: 1, agent: null });
  t.equal(waiting.log.at(-2)?.type, 'note');
  const freed = play([
    ...steps,
    [{ type: 'retarget' }, systemSender],
    [{ type: 'assign', agent: { id: 'a1', name: 'a1' } }, systemSender],
  ]);
  t.match(freed.state, { state: 'chatting', agent: { id: 'a1' } });
});

t.test('who may read a session, and what of it', async (t) => {
  const { state } = play([[open, customer]]);
  t.same(
    [customer, stranger, agents[0]!, outsider, admin].map((who) => mayRead(state!, who)),
    [true, false, true, false, true],
  );
  t.same(
    [maySee('note', 'customer'), maySee('note', 'agent'), maySee('message', 'customer')],
    [false, true, true],
  );
});
