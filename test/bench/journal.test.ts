import t from 'tap';
import { measure, smoke } from '../../bench/journal/index.ts';

t.setTimeout(120_000);
t.test('bench/journal runs, and the table holds what was said to be committed', async (t) => {
  const { rows, notes } = await measure(smoke);
  t.ok(rows.length > 8, rows.map((row) => row.join(' | ')).join('\n'));
  t.match(notes[0], /counted in the table/);
});
