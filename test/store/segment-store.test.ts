import t from 'tap';
import { talkSessions } from '../../bench/history/talk-data.ts';
import { KefuError } from '../../src/core/errors.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { Reader } from '../../src/store/database.ts';
import { openFileStore } from '../../src/store/object-store-file.ts';
import { ArchiveDictionaries, readSession } from '../../src/store/segment-store.ts';
import { encodeBlock, learnDictionary, SegmentWriter } from '../../src/store/segment.ts';

/** A database that has lost the table's rows. */
const empty = new Reader((() => Promise.resolve([])) as never, realClock, 1000);

t.test('a dictionary that the database has lost is found in the segment', async (t) => {
  const store = await openFileStore({ directory: t.testdir(), wallMs: () => realClock.wallMs() });
  const sessions = [...talkSessions({ seed: 3, sessions: 120 })].map(({ session, events }) => ({
    session,
    events: events.map(({ json }) => json),
  }));
  const dictionary = learnDictionary(sessions.map(({ session, events }) => [session, events] as const))!;
  const writer = new SegmentWriter();
  for (const { session, events } of sessions)
    writer.add(session, encodeBlock(session, events, dictionary), events.length, () => dictionary);
  const { content, entries } = writer.finish();
  await store.put('archive/one.seg', content, { maxBytes: content.length });
  const dictionaries = new ArchiveDictionaries(empty);
  for (const [index, entry] of entries.entries())
    t.same(await readSession(store, dictionaries, 'archive/one.seg', entry), sessions[index]!.events);
  await t.rejects(new ArchiveDictionaries(empty).get(dictionary.id), { message: /nowhere to be found/ });

  // Compaction and `history verify` must not take a database or a store that is away for a broken segment.
  const { id } = dictionary;
  const object = 'archive/one.seg';
  const noDatabase = new Reader((() => Promise.reject(new Error('away'))) as never, realClock, 1000);
  await t.rejects(new ArchiveDictionaries(noDatabase).find(id, { store, object }), { code: 'unavailable' });
  const away = new KefuError('unavailable', 'the object store is away');
  const noStore = { ...store, head: () => Promise.reject(away) } as never;
  await t.rejects(new ArchiveDictionaries(empty).find(id, { store: noStore, object }), away);
  content.fill(0, content.length - 64);
  await store.put(object, content, { maxBytes: content.length });
  t.equal(await new ArchiveDictionaries(empty).find(id, { store, object }), undefined);
  const nowhere = { store, object: 'archive/two.seg' };
  t.equal(await new ArchiveDictionaries(empty).find(id, nowhere), undefined);
});
