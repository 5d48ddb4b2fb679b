import t from 'tap';
import fc from 'fast-check';
import { SessionCheck, type Breach, type HistoryEvent } from '../../src/stress/session-check.ts';

/** A server that keeps its word, as one side of a session sees it: what it sends, and its history. */
interface Sent {
  readonly kind: 'event' | 'ack';
  readonly seq: number;
  readonly id: string;
  readonly text: string;
}

const textOf = (id: string): string => `text of ${id}`;

/** `mine[i]`: event i + 1 was said by us, and its ack stands for it. */
function honest(mine: readonly boolean[]): Sent[] {
  return mine.map((isMine, index) => ({
    kind: isMine ? 'ack' : 'event',
    seq: index + 1,
    id: `${isMine ? 'm' : 'o'}${index + 1}`,
    text: textOf(`${isMine ? 'm' : 'o'}${index + 1}`),
  }));
}

const historyOf = (frames: readonly Sent[]): HistoryEvent[] =>
  frames.map(({ seq, id, text }) => ({ seq, type: 'message', id, body: { text } }));

function breachesOf(frames: readonly Sent[], history: readonly HistoryEvent[]): Set<Breach> {
  const found = new Set<Breach>();
  const check = new SessionCheck(0, (kind) => found.add(kind));
  for (const { kind, id, text } of frames) if (kind === 'ack') check.say(id, text);
  for (const frame of frames)
    if (frame.kind === 'ack') check.ack(frame.id, frame.seq, false);
    else check.event(frame.seq, frame.id, frame.text);
  check.audit(history);
  return found;
}

const talk = fc.array(fc.boolean(), { minLength: 4, maxLength: 40 });
const place = fc.nat({ max: 1000 });

t.test('who keeps the contract is not accused', async () => {
  fc.assert(
    fc.property(talk, (mine) => {
      const frames = honest(mine);
      return breachesOf(frames, historyOf(frames)).size === 0;
    }),
  );
});

t.test('a repeated ack, a resend and a replay of one’s own message are no breach', async (t) => {
  const found: string[] = [];
  const check = new SessionCheck(0, (kind) => found.push(kind));
  check.say('m1', 'hi');
  check.event(1, 'o1', 'hello');
  // The ack was lost with the connection; after it the event comes, and the resend is acked as a repeat.
  check.event(2, 'm1', 'hi');
  check.say('m1', 'hi');
  check.ack('m1', 2, true);
  check.event(3, 'o2', 'bye');
  t.strictSame(found, []);
});

const lies: readonly (readonly [Breach, string, (frames: Sent[], at: number) => Sent[]])[] = [
  ['gap', 'an event left out', (frames, at) => frames.toSpliced(at % (frames.length - 1), 1)],
  [
    'duplicate',
    'an event twice',
    (frames, at) => frames.toSpliced(at % frames.length, 0, frames[at % frames.length]!),
  ],
  [
    'order',
    'two events the wrong way round',
    (frames, at) => {
      const first = at % (frames.length - 1);
      return frames.toSpliced(first, 2, frames[first + 1]!, frames[first]!);
    },
  ],
];

for (const [kind, name, lie] of lies)
  t.test(`${name} is found`, async () => {
    fc.assert(
      fc.property(talk, place, (mine, at) => {
        const frames = honest(mine);
        return breachesOf(lie(frames, at), historyOf(frames)).has(kind);
      }),
    );
  });

const historyLies: readonly (readonly [
  Breach,
  string,
  (history: HistoryEvent[], at: number) => HistoryEvent[],
])[] = [
  ['lost', 'an acked message that is not in the history', (history, at) => history.toSpliced(at, 1)],
  [
    'altered',
    'a message that was changed',
    (history, at) => history.with(at, { ...history[at]!, body: { text: 'something else' } }),
  ],
  [
    'moved',
    'a message at another seq than was acked',
    (history, at) => history.with(at, { ...history[at]!, seq: history.length + 1 }),
  ],
  [
    'duplicate',
    'a message twice in the history',
    (history, at) => [...history, { ...history[at]!, seq: history.length + 1 }],
  ],
];

for (const [kind, name, lie] of historyLies)
  t.test(`${name} is found`, async () => {
    fc.assert(
      fc.property(talk, place, (mine, at) => {
        const frames = honest([...mine, true]);
        const own = frames.filter((frame) => frame.kind === 'ack');
        const { seq } = own[at % own.length]!;
        return breachesOf(frames, lie(historyOf(frames), seq - 1)).has(kind);
      }),
    );
  });

t.test('an ack of what nobody said, an id with two seqs, and a reset are found', async (t) => {
  const found: string[] = [];
  const check = new SessionCheck(0, (kind) => found.push(kind));
  check.ack('never', 1, false);
  check.say('m1', 'hi');
  check.ack('m1', 2, false);
  check.ack('m1', 3, true);
  check.reset();
  t.strictSame(found, ['stray', 'moved', 'reset']);
});
