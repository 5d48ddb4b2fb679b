import fc from 'fast-check';
import t from 'tap';
import { talkSessions } from '../../bench/history/talk-data.ts';
import { packSession, unpackSession } from '../../src/store/segment-text.ts';
import {
  decodeBlock,
  encodeBlock,
  inspectSegment,
  learnDictionary,
  SegmentWriter,
  type Dictionary,
  type Segment,
} from '../../src/store/segment.ts';

const sessions = [...talkSessions({ seed: 11, sessions: 300 })].map(({ session, events }) => ({
  session,
  events: events.map(({ json }) => json),
}));
const dictionary = learnDictionary(sessions.map(({ session, events }) => [session, events] as const))!;

function segmentOf(count: number, withDictionary: boolean): Segment {
  const writer = new SegmentWriter();
  const given = withDictionary ? dictionary : undefined;
  for (const { session, events } of sessions.slice(0, count))
    writer.add(session, encodeBlock(session, events, given), events.length, () => given);
  return writer.finish();
}

const known = (id: string): Dictionary | undefined => (id === dictionary.id ? dictionary : undefined);

t.test('what is packed comes back byte for byte', (t) => {
  for (const { session, events } of sessions) {
    const packed = packSession(session, events)!;
    t.same(unpackSession(session, packed), events);
  }
  t.end();
});

t.test('any text comes back, whatever it looks like', (t) => {
  const [{ session, events }] = sessions as [(typeof sessions)[0]];
  const like = fc
    .tuple(fc.nat(events.length - 1), fc.nat(400), fc.string({ unit: 'binary', maxLength: 5 }))
    .map(
      // An event of ours with something else in it.
      ([index, at, with_]) => events[index]!.slice(0, at) + with_ + events[index]!.slice(at),
    );
  const text = fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constantFrom(...events), like);
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 12 }), fc.boolean(), (texts, withDictionary) => {
      // Lone surrogates are not UTF-8, and PostgreSQL takes none.
      const given = texts.map((one) => one.toWellFormed());
      const block = encodeBlock(session, given, withDictionary ? dictionary : undefined);
      const writer = new SegmentWriter();
      writer.add(session, block, given.length, known);
      const [entry] = writer.finish().entries;
      t.strictSame(decodeBlock(entry!, block, known), given);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('real talk takes at most 15 % of its JSON', (t) => {
  let raw = 0;
  let bytes = dictionary.data.length;
  for (const { session, events } of sessions) {
    for (const json of events) raw += Buffer.byteLength(json);
    bytes += encodeBlock(session, events, dictionary).length;
  }
  // The dictionary's 64 kB weigh more here than in 16 MB.
  t.ok(bytes - dictionary.data.length < 0.15 * raw, `${((100 * bytes) / raw).toFixed(1)} %`);
  t.end();
});

t.test('a segment tells what is in it, and that it is whole', (t) => {
  for (const withDictionary of [true, false]) {
    const { content, entries } = segmentOf(40, withDictionary);
    const found = new Map<string, readonly string[]>();
    const { sound, problems } = inspectSegment(content, (entry, events) => found.set(entry.session, events));
    t.same(problems, []);
    t.equal(sound, 40);
    t.equal(entries.length, 40);
    for (const { session, events } of sessions.slice(0, 40)) t.same(found.get(session), events);
  }
  t.end();
});

t.test('a flipped bit is found with its place, and the other sessions stay readable', (t) => {
  const { content, entries } = segmentOf(20, true);
  fc.assert(
    fc.property(fc.nat(content.length - 1), fc.nat(7), (at, bit) => {
      const broken = Buffer.from(content);
      broken[at]! ^= 1 << bit;
      const { problems } = inspectSegment(broken);
      t.ok(problems.length > 0, `byte ${at}`);
      const hit = entries.find(({ place, length }) => at >= place && at < place + length);
      if (hit !== undefined) t.match(problems[0], `session ${hit.session} at byte ${hit.place}`);
      for (const entry of entries) {
        const block = broken.subarray(entry.place, entry.place + entry.length);
        if (entry === hit) t.throws(() => decodeBlock(entry, block, known), { message: /is broken/ });
        else t.equal(decodeBlock(entry, block, known).length, entry.lastSeq);
      }
    }),
    { numRuns: 150 },
  );
  t.end();
});

t.test('a segment that was cut off is none', (t) => {
  const { content } = segmentOf(5, true);
  for (const length of [0, 1, 63, 64, 100, content.length - 1])
    t.ok(inspectSegment(content.subarray(0, length)).problems.length > 0, `${length} bytes`);
  t.end();
});
