import fc from 'fast-check';
import t from 'tap';
import { KefuError } from '../../src/core/errors.ts';
import { eventId, type FeedEntry } from '../../src/integrations/nats/cloud-event.ts';
import { EventFeed } from '../../src/integrations/nats/feed.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { entry, MemoryLog, MemoryStream, pause } from './feed-model.ts';

/** A feed on a clock that stands still, with a table and a stream in memory. */
function world(buffer?: number) {
  const clock = new VirtualClock();
  const log = new MemoryLog(() => pause(clock, 1));
  const stream = new MemoryStream(() => pause(clock, 1));
  const told: string[] = [];
  const create = (publish: MemoryStream['publish'] = stream.publish.bind(stream)) =>
    new EventFeed({
      clock,
      log,
      publisher: { publish },
      cluster: 'kefu',
      subject: 'kefu.events',
      ...(buffer === undefined ? {} : { buffer }),
      tell: (level, text) => told.push(`${level} ${text}`),
    });
  return { clock, log, stream, told, create };
}

function commit(log: MemoryLog, feed: EventFeed, entries: readonly FeedEntry[]): void {
  for (const each of entries) log.commit(each);
  feed.committed(entries);
}

const idsOf = (entries: readonly FeedEntry[] | undefined): string[] => (entries ?? []).map(eventId);
const range = (count: number, from = 1): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

t.test('events are published as CloudEvents, and the cursor follows', async (t) => {
  const { clock, log, stream, create } = world();
  const feed = create();
  feed.opened(log.heads([3]));
  const session = '01920000-0000-7000-8000-000000000001';
  const json = `{"session":"${session}","seq":2,"type":"message","at":"2025-01-01T00:00:00.000Z","body":{"text":"\u201c你好\\"\u201d"}}`;
  const at = Date.UTC(2025, 0, 1);
  commit(log, feed, [{ shard: 3, position: 12, session, seq: 2, type: 'message', at, json }]);
  await clock.advance(150);
  t.same(JSON.parse(stream.payloads.get(`${session}/2`)!), {
    specversion: '1.0',
    id: `${session}/2`,
    source: '/kefu/kefu',
    type: 'kefu.session.message',
    subject: session,
    time: '2025-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    shard: 3,
    sequence: '0000000000000012',
    data: JSON.parse(json) as unknown,
  });
  t.equal(log.cursors.get(3), undefined, 'not at each event');
  await clock.advance(100);
  t.equal(log.cursors.get(3), 12);
  t.same(log.rows.get(3), []);
  t.match(feed.stats, { published: 1, behind: 0, held: 0, lagMs: 0, errors: 0, missing: 0 });
});

t.test('five hundred events are not waited for', async (t) => {
  const { clock, log, create } = world();
  const feed = create();
  feed.opened(log.heads(range(250, 0)));
  commit(
    log,
    feed,
    range(250, 0).flatMap((shard) => [entry(shard, 1), entry(shard, 2), entry(shard, 3)]),
  );
  await clock.advance(20);
  t.equal(log.cursors.get(100), 2);
});

t.test('of one shard one is on its way, and the shards don’t wait for each other', async (t) => {
  const { clock, log, stream, create } = world();
  let onTheWay = 0;
  let most = 0;
  const feed = create(async (subject, id, payload) => {
    onTheWay += 1;
    most = Math.max(most, onTheWay);
    if (id.startsWith('s7/')) await pause(clock, 10_000);
    await stream.publish(subject, id, payload);
    onTheWay -= 1;
  });
  feed.opened(log.heads([6, 7]));
  commit(
    log,
    feed,
    range(20).flatMap((position) => [entry(6, position), entry(7, position)]),
  );
  await clock.advance(100);
  t.equal(most, 2);
  t.equal(stream.of(6).length, 20);
  t.equal(stream.of(7).length, 0);
});

t.test('what fails is tried again under its id, before what follows it', async (t) => {
  const { clock, log, stream, told, create } = world();
  const tried: string[] = [];
  let failures = 5;
  const feed = create(async (subject, id, payload) => {
    tried.push(id);
    // The stream may have taken it all the same: its answer is what was lost.
    if (failures % 2 === 1) await stream.publish(subject, id, payload);
    if ((failures -= 1) >= 0) throw new Error('no answer');
    await stream.publish(subject, id, payload);
  });
  feed.opened(log.heads([1]));
  commit(log, feed, [entry(1, 1), entry(1, 2)]);
  await clock.advance(60_000);
  t.same(tried, ['s1/1', 's1/1', 's1/1', 's1/1', 's1/1', 's1/1', 's1/2']);
  t.same(stream.of(1), ['s1/1', 's1/2']);
  t.equal(feed.stats.errors, 5);
  t.same(told, [
    'warn the change feed could not publish; it keeps trying',
    'info the change feed publishes again',
  ]);
});

t.test('a stream that is down stops the feed and nothing else, and is asked once a second', async (t) => {
  const { clock, log, stream, create } = world();
  const feed = create();
  feed.opened(log.heads([1]));
  stream.isDown = true;
  for (const position of range(100)) commit(log, feed, [entry(1, position, 's1', clock.wallMs())]);
  await clock.advance(60_000);
  t.ok(feed.stats.errors < 70);
  t.ok(feed.stats.lagMs >= 60_000);
  stream.isDown = false;
  await clock.advance(2000);
  t.same(stream.of(1), idsOf(log.all.get(1)));
  t.equal(feed.stats.lagMs, 0);
});

t.test('beyond the buffer a shard falls behind, and comes back in order', async (t) => {
  const { clock, log, stream, create } = world(40);
  const feed = create();
  feed.opened(log.heads([1, 2]));
  stream.isDown = true;
  for (const position of range(300)) commit(log, feed, [entry(1, position), entry(2, position)]);
  t.equal(feed.stats.held, 40);
  t.equal(feed.stats.behind, 2);
  await clock.advance(5000);
  t.ok(feed.stats.lagMs >= 5000);
  stream.isDown = false;
  await clock.advance(5000);
  for (const position of range(10, 301)) commit(log, feed, [entry(1, position), entry(2, position)]);
  await clock.advance(500);
  for (const shard of [1, 2]) t.same(stream.of(shard), idsOf(log.all.get(shard)));
  t.match(feed.stats, { behind: 0, held: 0, lagMs: 0 });
  t.same(log.rows.get(1), []);
});

t.test('a new owner begins with what the old one did not finish', async (t) => {
  const { clock, log, stream, create } = world();
  const old = create();
  old.opened(log.heads([1]));
  commit(
    log,
    old,
    range(30).map((position) => entry(1, position)),
  );
  await clock.advance(15);
  old.closed([1]);
  const owner = create();
  owner.opened(log.heads([1]));
  commit(
    log,
    owner,
    range(10, 31).map((position) => entry(1, position)),
  );
  old.committed([entry(1, 41)]);
  await clock.advance(1000);
  t.same(stream.of(1), idsOf(log.all.get(1)));
  t.ok(stream.duplicates > 0);
  t.equal(log.cursors.get(1), 40);
});

t.test('what is gone from the database is passed over', async (t) => {
  const { clock, log, stream, create } = world();
  for (const position of [1, 2, 3]) log.commit(entry(1, position));
  log.rows.get(1)![1] = { ...entry(1, 2), json: undefined } as unknown as FeedEntry;
  const feed = create();
  feed.opened(log.heads([1]));
  await clock.advance(1000);
  t.same(stream.of(1), ['s1/1', 's1/3']);
  t.equal(feed.stats.missing, 1);
  t.equal(log.cursors.get(1), 3);
});

t.test('what NATS never takes goes without its body', async (t) => {
  const { clock, log, stream, create } = world();
  const feed = create(async (subject, id, payload) => {
    if (payload.length > 1000) throw new KefuError('too_large', 'too large');
    await stream.publish(subject, id, payload);
  });
  feed.opened(log.heads([1]));
  const large = { ...entry(1, 1), json: `{"body":"${'x'.repeat(2000)}"}` };
  commit(log, feed, [large, entry(1, 2)]);
  await clock.advance(100);
  t.same(stream.of(1), ['s1/1', 's1/2']);
  const { data } = JSON.parse(stream.payloads.get('s1/1')!) as { data: object };
  t.same(data, {
    session: 's1',
    seq: 1,
    type: 'message',
    at: '1970-01-01T00:00:00.000Z',
    omitted: true,
  });
});

t.test('closing publishes what is at hand, and does not wait for a stream that is down', async (t) => {
  const { clock, log, stream, create } = world();
  const feed = create();
  feed.opened(log.heads([1]));
  commit(
    log,
    feed,
    range(20).map((position) => entry(1, position)),
  );
  const closing = feed.close(1000);
  await clock.advance(100);
  await closing;
  t.equal(log.cursors.get(1), 20);

  const other = create();
  other.opened(log.heads([1]));
  stream.isDown = true;
  commit(log, other, [entry(1, 21)]);
  await clock.advance(100);
  const startMs = clock.nowMs();
  const ending = other.close(60_000).then(() => clock.nowMs() - startMs);
  await clock.advance(2000);
  t.ok((await ending) < 100);
  t.equal(clock.timers, 0);
});

interface Plan {
  readonly seed: number;
  readonly steps: readonly { readonly what: number; readonly shard: number; readonly ms: number }[];
  readonly buffer: number;
}

/** Random commits, lost answers, failing tables, crashes and moves between two owners, against the order of commits. */
async function survives({ seed, steps, buffer }: Plan): Promise<void> {
  const clock = new VirtualClock();
  let state = seed;
  const chance = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  let isCalm = false;
  const trouble = async (): Promise<void> => {
    await pause(clock, Math.floor(chance() * 30));
    if (!isCalm && chance() < 0.2) throw new Error('trouble');
  };
  const log = new MemoryLog(trouble);
  const stream = new MemoryStream(trouble);
  const create = (): EventFeed =>
    new EventFeed({ clock, log, publisher: stream, cluster: 'c', subject: 'c.events', buffer });
  const shards = [0, 1, 2];
  const owners = [create(), create()];
  const ownerOf = [0, 0, 1];
  const positions = [0, 0, 0];
  for (const shard of shards) owners[ownerOf[shard]!]!.opened(log.heads([shard]));
  for (const { what, shard, ms } of steps) {
    const owner = ownerOf[shard]!;
    if (what < 6) {
      // Positions have gaps: some were given to what was refused.
      const entries = range(1 + (ms % 7)).map(() => entry(shard, (positions[shard]! += 1 + (ms % 2))));
      for (const each of entries) log.commit(each);
      // The journal tells later what it learns late.
      clock.after(ms % 20, () => owners[owner]!.committed(entries));
    } else if (what === 6) {
      // Moved; the old owner may not know it yet.
      const old = owners[owner]!;
      if (chance() < 0.5) old.closed([shard]);
      else clock.after(ms, () => ownerOf[shard] === owner || old.closed([shard]));
      ownerOf[shard] = 1 - owner;
      owners[1 - owner]!.opened(log.heads([shard]));
    } else if (what === 7) {
      const mine = shards.filter((each) => ownerOf[each] === owner);
      owners[owner]!.closed(shards);
      owners[owner] = create();
      owners[owner].opened(log.heads(mine));
    }
    await clock.advance(ms);
  }
  isCalm = true;
  await clock.advance(60_000);
  for (const shard of shards) {
    const expected = idsOf(log.all.get(shard));
    if (stream.of(shard).join() !== expected.join())
      throw new Error(`shard ${shard}: ${stream.of(shard).join()} instead of ${expected.join()}`);
    if ((log.rows.get(shard) ?? []).length > 0) throw new Error(`shard ${shard}: rows are left`);
  }
  for (const { stats } of owners)
    if (stats.held !== 0 || stats.behind !== 0) throw new Error(`it still holds ${JSON.stringify(stats)}`);
}

t.test('whatever fails, each shard’s events come once and in the order of their commits', async (t) => {
  const step = fc.record({
    what: fc.integer({ min: 0, max: 8 }),
    shard: fc.integer({ min: 0, max: 2 }),
    ms: fc.integer({ min: 0, max: 60 }),
  });
  const plan = fc.record({
    seed: fc.integer({ min: 1, max: 2_147_483_646 }),
    steps: fc.array(step, { minLength: 20, maxLength: 80 }),
    buffer: fc.constantFrom(4, 16, 1000),
  });
  await fc.assert(
    fc.asyncProperty(plan, async (given) => {
      await survives(given);
    }),
    { numRuns: 200 },
  );
  t.pass();
});
