import fc from 'fast-check';
import t from 'tap';
import { errorCodes } from '../../src/core/errors.ts';
import { messageIdOf, parseFrame } from '../../src/net/frames-in.ts';
import type { RefusedFrame } from '../../src/net/frames-in.ts';

const session = '0190b8a0-0000-7000-8000-000000000000';
const say = { t: 'say', ref: 7, session, id: 'm1', body: 'hello' };

function refused(value: unknown): RefusedFrame {
  const frame = parseFrame(value);
  if (frame.t !== 'refused') throw new Error(`it was taken: ${JSON.stringify(frame)}`);
  return frame;
}

t.test('every frame of the protocol is taken, normalised, and its unknown fields are ignored', async (t) => {
  const agent = session;
  const frames: [object, object][] = [
    [say, { ...say, body: { type: 'text', text: 'hello' } }],
    [{ t: 'ping' }, { t: 'ping', ref: undefined }],
    [
      { t: 'typing', session, later: 1 },
      { t: 'typing', ref: undefined, session },
    ],
    [
      { t: 'read', session, seq: 3 },
      { t: 'read', ref: undefined, session, seq: 3 },
    ],
    [
      { t: 'presence', ref: 'r', state: 'away' },
      { t: 'presence', ref: 'r', state: 'away' },
    ],
    [
      { t: 'open', ref: 1, group: 'support', subject: null, attributes: { page: '/a', n: 1 } },
      { t: 'open', ref: 1, group: 'support', subject: undefined, attributes: { page: '/a', n: 1 } },
    ],
    [
      { t: 'transfer', session, to: { agent }, note: 'she knows' },
      { t: 'transfer', ref: undefined, session, to: { agent }, note: 'she knows' },
    ],
    [
      { t: 'transfer', session, to: { agent: null, group: 'billing' } },
      { t: 'transfer', ref: undefined, session, to: { group: 'billing' }, note: undefined },
    ],
    [
      { t: 'close', session },
      { t: 'close', ref: undefined, session, reason: undefined },
    ],
    [
      { t: 'history', ref: 0, session, before: 9, limit: 200 },
      { t: 'history', ref: 0, session, before: 9, limit: 200 },
    ],
    [
      { t: 'hello', token: 'abc', resume: { [session]: 0 } },
      { t: 'hello', ref: undefined, token: 'abc', resume: { [session]: 0 } },
    ],
    [
      { t: 'hello', token: 'abc' },
      { t: 'hello', ref: undefined, token: 'abc', resume: undefined },
    ],
  ];
  for (const [given, expected] of frames) t.strictSame(parseFrame(given), expected, JSON.stringify(given));
});

t.test('what is no object with a string t is a bad_frame', async (t) => {
  for (const value of [null, [], 'say', 1, {}, { t: 1 }, { t: null }, [{ t: 'say' }]]) {
    t.equal(refused(value).refusal.code, 'bad_frame', JSON.stringify(value));
  }
});

t.test(
  'an unknown t or a wrong field is a bad_request that names the field and echoes the ref',
  async (t) => {
    const many = Object.fromEntries(
      Array.from({ length: 1001 }, (_, n) => [session.slice(0, -4) + (n + 1000), 1]),
    );
    const wrong: [object, string][] = [
      [{ t: 'shout' }, 't'],
      [{ t: 'constructor' }, 't'],
      [{ t: 'refused' }, 't'],
      [{ ...say, session: session.toUpperCase().replace('B', 'B') }, 'session'],
      [{ ...say, session: undefined }, 'session'],
      [{ ...say, id: '' }, 'id'],
      [{ ...say, id: 'x'.repeat(65) }, 'id'],
      [{ ...say, id: 'a\nb' }, 'id'],
      [{ ...say, id: '\ud800' }, 'id'],
      [{ ...say, id: 5 }, 'id'],
      [{ ...say, body: undefined }, 'body'],
      [{ t: 'read', session, seq: 0 }, 'seq'],
      [{ t: 'read', session, seq: 1.5 }, 'seq'],
      [{ t: 'read', session, seq: '1' }, 'seq'],
      [{ t: 'presence', state: 'gone' }, 'state'],
      [{ t: 'open', group: 'Support' }, 'group'],
      [{ t: 'open', subject: 'x'.repeat(201) }, 'subject'],
      [{ t: 'open', subject: 'a\0' }, 'subject'],
      [{ t: 'open', attributes: [] }, 'attributes'],
      [{ t: 'open', attributes: { a: { b: { c: { d: {} } } } } }, 'attributes'],
      [{ t: 'open', attributes: { a: '\udc00' } }, 'attributes'],
      [{ t: 'open', attributes: JSON.parse('{"__proto__":{}}') }, 'attributes'],
      [
        { t: 'open', attributes: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [n, n])) },
        'attributes',
      ],
      [{ t: 'transfer', session }, 'to'],
      [{ t: 'transfer', session, to: {} }, 'to'],
      [{ t: 'transfer', session, to: { agent: session, group: 'a' } }, 'to'],
      [{ t: 'transfer', session, to: { agent: 'bob' } }, 'to.agent'],
      [{ t: 'transfer', session, to: { group: 'a' }, note: 'x'.repeat(2001) }, 'note'],
      [{ t: 'close', session, reason: 'x'.repeat(201) }, 'reason'],
      [{ t: 'history', session, before: 0 }, 'before'],
      [{ t: 'history', session, limit: 0 }, 'limit'],
      [{ t: 'history', session, limit: 201 }, 'limit'],
      [{ t: 'hello' }, 'token'],
      [{ t: 'hello', token: 'x'.repeat(5000) }, 'token'],
      [{ t: 'hello', token: 'x', resume: { nobody: 1 } }, 'resume'],
      [{ t: 'hello', token: 'x', resume: { [session]: -1 } }, 'resume'],
      [{ t: 'hello', token: 'x', resume: many }, 'resume'],
    ];
    for (const [value, field] of wrong) {
      const { ref, refusal } = refused({ ref: 'r1', ...value });
      t.equal(refusal.code, 'bad_request', JSON.stringify(value).slice(0, 100));
      t.match(refusal.message, new RegExp(`\\b${field}\\b`));
      t.ok(ref === 'r1' || ref === 7);
    }
  },
);

t.test('a ref is a finite number or a string of at most 64 characters', async (t) => {
  for (const ref of ['x'.repeat(65), {}, true, Number.NaN, Number.POSITIVE_INFINITY, '\ud800']) {
    const frame = refused({ ...say, ref });
    t.equal(frame.ref, undefined);
    t.match(frame.refusal, { code: 'bad_request', message: /^ref / });
  }
  for (const ref of ['', 'x'.repeat(64), -1.5, 0])
    t.match(parseFrame({ t: 'ping', ref }), { t: 'ping', ref });
});

t.test('a refusal never repeats what was sent, for it may be somebody’s words', async (t) => {
  const word = 'confidential';
  const values = [
    { ...say, id: `${word}\n` },
    { ...say, body: { type: `${word}!` } },
    { t: word },
    { t: 'open', group: word.toUpperCase() },
    { t: 'presence', state: word },
    { t: 'hello', token: 'x', resume: { [word]: 1 } },
    { ...say, body: { type: 'card', title: 'a', url: `javascript:${word}` } },
  ];
  for (const value of values) t.notMatch(refused(value).refusal.message.toLowerCase(), word);
});

t.test('a message id is 1 to 64 characters of any script', async (t) => {
  for (const id of ['a', 'x'.repeat(64), '消息一', '😀'.repeat(64), ' ']) t.equal(messageIdOf(id), id);
  for (const id of ['😀'.repeat(65), '\u0085', '\u007f', 'a\udfff']) {
    t.throws(() => messageIdOf(id), { code: 'bad_request' });
  }
});

t.test('no value makes it throw, and all that it refuses has a code of the protocol', async () => {
  const names = [
    'hello',
    'open',
    'say',
    'typing',
    'read',
    'presence',
    'transfer',
    'close',
    'history',
    'ping',
  ];
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true });
  const field = fc.oneof(anything, fc.constant(session), fc.string({ unit: 'binary' }), fc.integer());
  const fields = [
    'ref',
    'session',
    'id',
    'body',
    'seq',
    'to',
    'token',
    'resume',
    'attributes',
    'state',
    'group',
  ];
  const almost = fc
    .record(Object.fromEntries(fields.map((name) => [name, field])), { requiredKeys: [] })
    .chain((value) => fc.constantFrom(...names).map((name): object => ({ ...value, t: name })));
  fc.assert(
    fc.property(fc.oneof(anything, almost), (value) => {
      const frame = parseFrame(value);
      return frame.t === 'refused' ? errorCodes.includes(frame.refusal.code) : names.includes(frame.t);
    }),
    { numRuns: 3000 },
  );
});
