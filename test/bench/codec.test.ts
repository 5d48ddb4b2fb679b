import t from 'tap';
import { measure, smoke } from '../../bench/codec/index.ts';

t.setTimeout(120_000);
t.test('bench/codec runs, and both codecs say what was said', async (t) => {
  const { rows, notes } = await measure(smoke);
  t.ok(rows.length > 20, rows.map((row) => row.join(' | ')).join('\n'));
  t.match(notes[0], /compared/);
});
