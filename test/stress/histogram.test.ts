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

t.test('histograms of parts, packed and merged, are that of the whole', async () => {
  const list = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), { maxLength: 200 });
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 5 }), (parts) => {
      const [whole, merged] = [new Histogram(), new Histogram()];
      for (const part of parts) {
        const histogram = new Histogram();
        for (const ms of part) {
          histogram.add(ms);
          whole.add(ms);
        }
        merged.merge(JSON.parse(JSON.stringify(histogram.packed())) as number[]);
      }
      const counted = merged.buckets().reduce((sum, { count }) => sum + count, 0);
      return (
        JSON.stringify(merged.packed()) === JSON.stringify(whole.packed()) &&
        merged.count === whole.count &&
        counted === whole.count
      );
    }),
  );
});
