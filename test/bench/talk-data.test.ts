import t from 'tap';
import { talkSessions, type TalkSession } from '../../bench/history/talk-data.ts';

interface Event {
  readonly session: string;
  readonly seq: number;
  readonly type: string;
  readonly id: string;
  readonly at: string;
  readonly body?: { readonly text?: string };
}

const eventsOf = (session: TalkSession): Event[] =>
  session.events.map(({ json }) => JSON.parse(json) as Event);

t.test('the same seed makes the same talk, another one another', async (t) => {
  const make = (seed: number): string => JSON.stringify([...talkSessions({ seed, sessions: 20 })]);
  t.equal(make(1), make(1));
  t.not(make(1), make(2));
});

t.test('sessions are as the session actor makes them, in both languages', async (t) => {
  const ids = new Set<string>();
  const languages = new Set<string>();
  for (const session of talkSessions({ seed: 3, sessions: 200 })) {
    languages.add(session.language);
    const events = eventsOf(session);
    t.ok(events.length >= 10 && events.length <= 42, `${events.length} events`);
    t.equal(events[0]!.type, 'opened');
    t.ok(events.some((event) => event.type === 'closed'));
    t.ok(Date.parse(events[0]!.at) >= session.openedAtMs);
    for (const [index, event] of events.entries()) {
      const before = events[index - 1];
      const isNext = event.seq === index + 1 && (before === undefined || event.at >= before.at);
      const isOwn = event.session === session.session && !ids.has(event.id);
      if (!isNext || !isOwn) t.fail(`event ${index + 1} is out of order or not of its session`);
      ids.add(event.id);
    }
  }
  t.strictSame([...languages].sort(), ['en', 'zh']);
});

t.test('it does not repeat itself more than people do, and no pattern is left over', async (t) => {
  const texts: string[] = [];
  for (const session of talkSessions({ seed: 4, sessions: 1000 }))
    for (const event of eventsOf(session)) if (event.body?.text !== undefined) texts.push(event.body.text);
  t.ok(new Set(texts).size > 0.55 * texts.length, `${new Set(texts).size} of ${texts.length} differ`);
  t.strictSame(
    texts.filter((text) => /[<>{}|]/.test(text)),
    [],
  );
});
