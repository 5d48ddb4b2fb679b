import t from 'tap';
import { Chronicle } from '../../src/cluster/chronicle.ts';
import type { ClusterStatus } from '../../src/protocol/cluster-status.ts';

/** What node a sees: who is there, and for how long unheard; and the owners of four shards, with their epochs. */
function seen(
  silences: Readonly<Record<string, number>>,
  shards: readonly (readonly [string | null, number])[],
  draining: readonly string[] = [],
): ClusterStatus {
  return {
    self: 'a~1',
    members: Object.entries(silences).map(([process, silenceMs]) => ({
      process,
      silenceMs,
      node: process.split('~')[0]!,
      url: `http://${process}`,
      draining: draining.includes(process),
    })),
    shards: shards.map(([process, epoch], shard) => ({ shard, process, epoch })),
  } as unknown as ClusterStatus;
}

const all = (process: string | null, epoch: number): [string | null, number][] =>
  Array.from({ length: 4 }, () => [process, epoch]);

t.test('what others had when a node came is no move; what it takes is', (t) => {
  const chronicle = new Chronicle();
  chronicle.observe(seen({ 'a~1': 0 }, all(null, 0)), 1_000);
  chronicle.observe(seen({ 'a~1': 0, 'b~1': 10 }, all('b~1', 3)), 1_100);
  t.match(chronicle.recent, [
    { kind: 'came', node: 'b', at: 1_100 },
    { kind: 'came', node: 'a', at: 1_000 },
  ]);
  chronicle.observe(
    seen({ 'a~1': 0, 'b~1': 10 }, [['a~1', 4], ['a~1', 4], ...all('b~1', 3).slice(2)]),
    1_200,
  );
  t.match(chronicle.recent[0], { kind: 'moved', from: 'b', to: 'a', shards: 2, gapMs: 0 });
  t.equal(chronicle.recent.length, 3);
  t.end();
});

t.test('the shards of a node that was lost were without an owner since it was last heard', (t) => {
  const chronicle = new Chronicle();
  const two = (a: number, b: number): [string, number][] => [
    ['a~1', a],
    ['a~1', a],
    ['b~1', b],
    ['b~1', b],
  ];
  chronicle.observe(seen({ 'a~1': 0, 'b~1': 1_900 }, two(1, 1)), 10_000);
  const without = [...two(1, 1).slice(0, 2), ...all(null, 1).slice(2)];
  chronicle.observe(seen({ 'a~1': 0 }, without), 10_100);
  chronicle.observe(seen({ 'a~1': 0 }, [...without.slice(0, 2), ['a~1', 2], [null, 1]]), 10_200);
  chronicle.observe(seen({ 'a~1': 0 }, [...without.slice(0, 2), ['a~1', 2], ['a~1', 2]]), 10_300);
  t.match(chronicle.recent.slice(0, 2), [
    { kind: 'moved', from: 'b', to: 'a', shards: 2, gapMs: 2_100, at: 10_300 },
    { kind: 'lost', node: 'b', at: 10_100 },
  ]);
  t.end();
});

t.test('also when they have new ones at the next look', (t) => {
  const chronicle = new Chronicle();
  chronicle.observe(seen({ 'a~1': 0, 'b~1': 2_000 }, all('b~1', 1)), 10_000);
  chronicle.observe(seen({ 'a~1': 0 }, all('a~1', 2)), 10_100);
  t.match(chronicle.recent[0], { kind: 'moved', from: 'b', to: 'a', shards: 4, gapMs: 2_000 });
  t.end();
});

t.test('who has drained has left, and is not lost; a new life of a name comes anew', (t) => {
  const chronicle = new Chronicle();
  chronicle.observe(seen({ 'a~1': 0, 'b~1': 0 }, all('a~1', 1), ['b~1']), 0);
  chronicle.observe(seen({ 'a~1': 0, 'b~2': 0 }, all('a~1', 1)), 100);
  t.same(
    chronicle.recent.slice(0, 2).map(({ kind }) => kind),
    ['came', 'left'],
  );
  t.end();
});

t.test('it is bounded', (t) => {
  const chronicle = new Chronicle();
  for (let life = 1; life <= 200; life += 1)
    chronicle.observe(seen({ 'a~1': 0, [`b~${life}`]: 0 }, all('a~1', 1)), life * 100);
  t.equal(chronicle.recent.length, 60);
  t.equal(chronicle.recent[0]!.at, 20_000, 'the newest first');
  t.end();
});
