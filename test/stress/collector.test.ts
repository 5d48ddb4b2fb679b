import t from 'tap';
import { Collector } from '../../src/stress/collector.ts';
import { phasesOf } from '../../src/stress/schedule.ts';
import { Tally } from '../../src/stress/tally.ts';

const shape = { profile: 'storm', customers: 1, warmupMs: 2000, durationMs: 6000, lengthMs: 1 } as const;

t.test('seconds of all generators add up to phases, without the warm-up', async (t) => {
  const collector = new Collector(2, phasesOf(shape));
  for (let second = 0; second < 9; second += 1)
    for (const generator of [0, 1]) {
      const tally = new Tally();
      tally.counts.acked = 10;
      tally.time('ack', second + 1);
      tally.breach('gap', 's', 1, 'a gap');
      collector.add(generator, tally.take(5, 4));
    }
  t.strictSame(
    collector.phases.map(({ counts, ackedPerSecond }) => [counts.acked, ackedPerSecond]),
    [
      [40, 20],
      [40, 20],
      [60, 30],
    ],
    'what comes after the end belongs to the last phase',
  );
  t.equal(collector.whole(6).latencies.ack!.count, 14);
  t.equal(collector.breaches.gap, 18, 'a breach counts whenever it is');
  const series = collector.series(8000);
  t.equal(series.length, 8);
  t.match(series[3], { atS: 3, acked: 20, connections: 10, customers: 8 });
});

t.test('a long run keeps no more steps than a short one, and loses nothing', async (t) => {
  const durationMs = 86_400_000;
  const collector = new Collector(1, phasesOf({ ...shape, durationMs }));
  const seconds = 5000;
  for (let second = 0; second < seconds; second += 1) {
    const tally = new Tally();
    tally.counts.acked = 3;
    tally.time('ack', 7);
    collector.add(0, tally.take(1, 1));
    collector.memory(second * 1000, 1e6 + second);
  }
  const series = collector.series(durationMs);
  t.ok(series.length <= 600, `${series.length} steps of ${collector.stepSeconds} s`);
  t.ok(series.every(({ acked, connections }) => acked === 3 && connections === 1));
  t.equal(series.at(-1)!.memoryBytes, 1e6 + seconds - 1);
});
