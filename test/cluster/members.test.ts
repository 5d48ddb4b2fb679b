import t from 'tap';
import { Members } from '../../src/cluster/members.ts';
import type { Beat } from '../../src/cluster/ports.ts';

const suspectMs = 1000;

function beat(node: string, seq: number, hears: readonly string[], dead: readonly string[] = []): Beat {
  const process = `${node}~1`;
  const member = {
    node,
    process,
    workers: 1,
    url: '',
    version: '0',
    generation: `${process}.1`,
    draining: false,
  };
  return { ...member, seq, owned: [], hears: [...hears], dead: [...dead], gone: false };
}

/** Beats of these every 300 ms; returns who is to be given up after each. */
function watch(
  members: Members,
  untilMs: number,
  others: Readonly<Record<string, readonly string[]>>,
): string[] {
  for (let nowMs = 0, seq = 1; nowMs <= untilMs; nowMs += 300, seq += 1)
    for (const [node, hears] of Object.entries(others)) members.receive(beat(node, seq, hears), nowMs);
  return members.silent(untilMs);
}

t.test('a node that is heard but hears nobody is given up, if somebody hears us', (t) => {
  const early = watch(new Members({ self: 'a~1', suspectMs }), 1800, { b: ['a~1', 'c~1'], c: [] });
  t.same(early, [], 'not at once: it may have just come');
  const anew = new Members({ self: 'a~1', suspectMs });
  t.same(watch(anew, 3000, { b: ['a~1', 'c~1'], c: [] }), ['c~1']);
  t.same(watch(new Members({ self: 'a~1', suspectMs }), 3000, { b: [], c: [] }), [], 'perhaps we are mute');
  t.same(watch(new Members({ self: 'a~1', suspectMs }), 3000, { b: ['a~1'], c: ['b~1'] }), []);
  t.end();
});

t.test('that an earlier generation of ours was given up is news once from each', (t) => {
  const members = new Members({ self: 'a~1', suspectMs });
  t.notOk(members.forgotUs(beat('b', 1, [])));
  t.ok(members.forgotUs(beat('b', 2, [], ['x~1.1', 'a~1.1'])));
  t.notOk(members.forgotUs(beat('b', 3, [], ['x~1.1', 'a~1.1'])));
  t.ok(members.forgotUs(beat('c', 1, [], ['a~1.1'])));
  t.ok(members.forgotUs(beat('b', 4, [], ['a~1.1', 'a~1.2'])));
  t.end();
});
