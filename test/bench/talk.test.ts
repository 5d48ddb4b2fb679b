import t from 'tap';
import { measure, smoke } from '../../bench/talk/index.ts';

t.setTimeout(120_000);
t.test('bench/talk runs, and every message it counts is there once and in order', async (t) => {
  const report = await measure(smoke);
  t.ok(report.messages > 100, `${report.messages} messages`);
  t.ok(report.rows.length > 6);
});
