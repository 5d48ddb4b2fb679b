import t from 'tap';
import { measure, smoke } from '../../bench/peers/index.ts';

t.setTimeout(120_000);
t.test('bench/peers runs: each peer that is installed stores, acks and delivers what is said', async (t) => {
  const report = await measure(smoke);
  for (const [name, rounds] of Object.entries(report.best))
    for (const { perSecond } of rounds) t.ok(perSecond > 0, `${name}: ${Math.round(perSecond)} messages/s`);
  for (const [name, why] of Object.entries(report.skipped))
    t.match(why, /not installed/, `${name} is left out`);
  t.ok(
    report.best['kefu'] !== undefined && report.best['bare'] !== undefined && report.best['ws'] !== undefined,
  );
  t.match(report.text, /said = acked = delivered/);
});
