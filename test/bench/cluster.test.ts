import t from 'tap';
import { measure, smoke } from '../../bench/cluster/index.ts';

t.setTimeout(120_000);
t.test('bench/cluster runs, and every message said through faults is there once and in order', async (t) => {
  const { rows, checksum } = await measure(smoke);
  t.ok(rows.length > 10, rows.map((row) => row.join(' | ')).join('\n'));
  t.ok(checksum.some((line) => line.includes('said = acked = delivered')));
});
