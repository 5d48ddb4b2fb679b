import t from 'tap';
import fc from 'fast-check';
import { barChart, lineChart } from '../../src/stress/chart.ts';

const evil = '<script>alert("1")</script>&\'';

/** Tags that are open at the end, or closed without being open. */
function unbalanced(svg: string): string[] {
  const open: string[] = [];
  for (const [, slash, name, , self] of svg.matchAll(/<(\/?)([a-z]+)((?:\s[^<>]*?)?)(\/?)>/g)) {
    if (self === '/') continue;
    if (slash === '') open.push(name!);
    else if (open.pop() !== name) return [name!];
  }
  return open;
}

t.test('all text is escaped, whatever it is', async (t) => {
  const lines = [
    { name: evil, points: [[0, 1] as const, [1, 2] as const] },
    { name: 'b', points: [] },
  ];
  const marks = [{ x: 0.5, name: evil }];
  const line = lineChart({
    title: evil,
    x: { label: evil, format: () => evil },
    y: { label: evil },
    lines,
    marks,
  });
  const bar = barChart({
    title: evil,
    x: { label: evil },
    bars: [{ name: evil, value: 3, low: 1, high: 4 }],
  });
  for (const svg of [line, bar]) {
    t.notMatch(svg, '<script');
    t.match(svg, '&lt;script&gt;');
    t.strictSame(unbalanced(svg), []);
  }
});

t.test('any values make a picture without NaN', async () => {
  const value = fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }));
  const axis = fc.record({ isLog: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1000), value)), axis, axis, (points, x, y) => {
      const svg = lineChart({ title: 'a', x, y, lines: [{ name: 'a', points, isArea: true }] });
      return !/NaN|Infinity|undefined/.test(svg) && unbalanced(svg).length === 0;
    }),
  );
  fc.assert(
    fc.property(fc.array(value), axis, (values, x) => {
      const svg = barChart({ title: 'a', x, bars: values.map((value) => ({ name: 'a', value })) });
      return !/NaN|Infinity|undefined/.test(svg) && unbalanced(svg).length === 0;
    }),
  );
});
