import t from 'tap';
import fc from 'fast-check';
import {
  chooseAgent,
  compareCandidates,
  compareWaiting,
  isFree,
  type Candidate,
  type Waiting,
} from '../../src/rules/assignment.ts';

const small = fc.integer({ min: 0, max: 3 });
const waiting: fc.Arbitrary<Waiting> = fc.record({
  session: fc.uuid(),
  priority: small,
  since: small,
  target: fc.constantFrom(null, 'a', 'b', 'gone'),
  lastAgent: fc.constantFrom(null, 'a', 'c', 'gone'),
});
const candidates: fc.Arbitrary<Candidate[]> = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          online: fc.boolean(),
          open: small,
          capacity: small,
          idleSince: small,
        }),
      ),
    ),
  );

t.test('the queue’s order is total: priority, then arrival, then id', async (t) => {
  fc.assert(
    fc.property(fc.array(waiting, { maxLength: 20 }), (entries) => {
      const sorted = [...entries].sort(compareWaiting);
      for (let index = 1; index < sorted.length; index += 1) {
        const [a, b] = [sorted[index - 1]!, sorted[index]!];
        if (a.priority < b.priority) throw new Error('priority');
        if (a.priority === b.priority && a.since > b.since) throw new Error('arrival');
        if (a.session !== b.session && compareWaiting(a, b) !== -compareWaiting(b, a))
          throw new Error('symmetry');
      }
    }),
  );
  t.pass();
});

t.test('the choice is the one that the rule names, whatever the order they are looked at', async (t) => {
  fc.assert(
    fc.property(waiting, candidates, (entry, agents) => {
      const chosen = chooseAgent(entry, agents);
      const free = agents.filter(isFree);
      const fitting = entry.target === null ? free : free.filter((agent) => agent.id === entry.target);
      if (chosen === undefined) {
        if (fitting.length > 0) throw new Error('waits though a fitting agent is free');
        return;
      }
      if (!fitting.includes(chosen)) throw new Error('does not fit');
      const last = fitting.find((agent) => agent.id === entry.lastAgent);
      const best = last ?? [...fitting].sort(compareCandidates)[0]!;
      if (chosen.id !== best.id) throw new Error(`${chosen.id} instead of ${best.id}`);
      if (chooseAgent(entry, [...agents].reverse())?.id !== chosen.id) throw new Error('order matters');
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

t.test('fewest open sessions first, then longest idle', async (t) => {
  const entry: Waiting = { session: 's', priority: 0, since: 0, target: null, lastAgent: null };
  const agent = (id: string, open: number, idleSince: number): Candidate => ({
    id,
    online: true,
    open,
    capacity: 5,
    idleSince,
  });
  t.equal(chooseAgent(entry, [agent('a', 2, 0), agent('b', 1, 9)])?.id, 'b');
  t.equal(chooseAgent(entry, [agent('a', 1, 5), agent('b', 1, 4)])?.id, 'b');
  t.equal(chooseAgent({ ...entry, lastAgent: 'a' }, [agent('a', 4, 5), agent('b', 0, 4)])?.id, 'a');
});

t.test('who is full or away is not free, and is never chosen', async (t) => {
  const entry: Waiting = { session: 's', priority: 0, since: 0, target: null, lastAgent: 'a' };
  const agent: Candidate = { id: 'a', online: true, open: 1, capacity: 2, idleSince: 0 };
  t.equal(chooseAgent(entry, [agent])?.id, 'a');
  for (const busy of [{ open: 2 }, { open: 3 }, { capacity: 0, open: 0 }, { online: false }]) {
    t.equal(isFree({ ...agent, ...busy }), false, JSON.stringify(busy));
    t.equal(chooseAgent(entry, [{ ...agent, ...busy }]), undefined, JSON.stringify(busy));
  }
});
