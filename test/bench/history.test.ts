import t from 'tap';
import { measure, smoke } from '../../bench/history/index.ts';

t.setTimeout(120_000);
t.test('bench/history runs: what was archived is read back, what was said is found', async (t) => {
  const { rows, work } = await measure(smoke);
  t.ok(rows.length > 8, rows.map((row) => row.join(' | ')).join('\n'));
  t.ok(work.length === 4, work.join('\n'));
});
