import t from 'tap';
import { measure, smoke } from '../../bench/connections/index.ts';

t.setTimeout(120_000);
t.test('bench/connections runs: everybody stays, and comes back with all that was acked', async (t) => {
  const report = await measure(smoke);
  t.equal(report.rows.length, 9);
  t.match(
    report.checksum,
    /60 customers connected and still there .*; 30 sessions opened; 80 messages were acked/,
  );
});
