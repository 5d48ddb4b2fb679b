import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { SegmentPool } from '../../src/store/segment-pool.ts';
import { decodeBlock, checksumOf, digestOf } from '../../src/store/segment.ts';

/** How much each thread of this process gives way to others, 0 to 19. */
function niceOfThreads(): number[] {
  return readdirSync('/proc/self/task').map((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

t.test('sessions are compressed by threads that come after those of chats', async (t) => {
  const pool = new SegmentPool(1);
  t.teardown(() => pool.close());
  const session = '01920000-0000-7000-8000-000000000001';
  const events = ['{"seq":1,"body":"谢谢"}', '{"seq":2}'];
  const [encoded] = await pool.encode([{ session, events }], undefined);
  const { block, digest, raw } = encoded!;
  const entry = { session, place: 8, length: block.length, lastSeq: 2, checksum: checksumOf(block) };
  t.same(
    decodeBlock(entry, block, () => undefined),
    events,
  );
  t.equal(digest, digestOf(events));
  t.equal(raw, Buffer.byteLength(events.join('')));
  if (process.platform !== 'linux') return;
  const nice = niceOfThreads();
  t.equal(nice.filter((it) => it === 19).length, 1, 'its own');
  t.ok(nice.filter((it) => it < 19).length > 1, 'and no other');
});
