import t from 'tap';
import fc from 'fast-check';
import { Histogram } from '../../src/stress/histogram.ts';

t.test('a percentile is that of the sorted list, to 2 % and a microsecond', async () => {
  const latency = fc.double({ min: 0, max: 100_000, noNaN: true });
  const share = fc.constantFrom(0.01, 0.5, 0.99, 0.999, 1);
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 300 }), share, (list, of) => {
      const histogram = new Histogram();
      for (const ms of list) histogram.add(ms);
      const sorted = [...list].sort((a, b) => a - b);
      const exact = sorted[Math.max(0, Math.ceil(list.length * of) - 1)]!;
      return Math.abs(histogram.percentile(of) - exact) <= exact * 0.02 + 0.001;
    }),
  );
});
