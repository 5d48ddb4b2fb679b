import t from 'tap';
import { measure, smoke } from '../../bench/engine/index.ts';

t.setTimeout(120_000);
t.test('bench/engine runs, and every side adds up the same', async (t) => {
  const { rows, notes } = await measure(smoke);
  t.ok(rows.length > 15, rows.map((row) => row.join(' | ')).join('\n'));
  // Where erl is not installed the rows say so instead of a ratio.
  t.ok(
    rows.every((row) => / × |skipped/.test(row[4]!)),
    notes.join('\n'),
  );
});
