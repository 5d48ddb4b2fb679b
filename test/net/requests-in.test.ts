import t from 'tap';
import { KefuError } from '../../src/core/errors.ts';
import { parseMessageBody } from '../../src/net/bodies-in.ts';
import { parseClose, parseLogin, parseOpen, parseRating, parseVisitor } from '../../src/net/requests-in.ts';
import { isKnownBody } from '../../src/protocol/bodies.ts';

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof KefuError) return error.code;
    throw error;
  }
  return 'taken';
}

const file = {
  type: 'file',
  url: '/v1/sessions/1/files/2',
  name: 'a.pdf',
  mime: 'application/pdf',
  size: 10,
};

t.test('bodies of the known types keep their known fields only', async (t) => {
  t.strictSame(parseMessageBody('hi'), { type: 'text', text: 'hi' });
  t.strictSame(parseMessageBody({ type: 'text', text: 'hi', html: '<b>' }), { type: 'text', text: 'hi' });
  t.strictSame(parseMessageBody({ ...file, extra: 1 }), file);
  t.strictSame(parseMessageBody({ ...file, type: 'image' }), { ...file, type: 'image' });
  const card = { type: 'card', title: 'T', text: 'x', url: 'https://example.org/a', image: '/i.png' };
  t.strictSame(parseMessageBody({ ...card, other: {} }), card);
  t.strictSame(parseMessageBody({ type: 'card', title: 'T', url: null }), { type: 'card', title: 'T' });
  t.strictSame(parseMessageBody({ type: 'event', name: 'n', data: [1] }), {
    type: 'event',
    name: 'n',
    data: [1],
  });
});

t.test('a body of an unknown type is kept with all its fields', async (t) => {
  const body = { type: 'x.location', at: { lat: 1.5, lon: 2 } };
  const parsed = parseMessageBody(body);
  t.strictSame(parsed, body);
  t.notOk(isKnownBody(parsed));
  t.ok(isKnownBody(parseMessageBody('hi')));
});

t.test('a text is 1 to 16,000 characters, counted as people count', async (t) => {
  for (const text of ['x', 'x'.repeat(16_000), '客'.repeat(16_000), '😀'.repeat(16_000), ' ']) {
    t.equal(
      codeOf(() => parseMessageBody(text)),
      'taken',
    );
  }
  for (const text of ['x'.repeat(16_001), '😀'.repeat(16_001), 'x'.repeat(40_000)]) {
    t.equal(
      codeOf(() => parseMessageBody(text)),
      'too_large',
    );
  }
  for (const text of ['', '\ud800', 'a\udc00b', 'nul \0']) {
    t.equal(
      codeOf(() => parseMessageBody(text)),
      'bad_request',
    );
    t.equal(
      codeOf(() => parseMessageBody({ type: 'text', text })),
      'bad_request',
    );
  }
});

t.test('bodies with wrong fields are refused', async (t) => {
  const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown;
  const wrong: unknown[] = [
    undefined,
    null,
    5,
    [],
    {},
    { type: 'Text' },
    { type: 5 },
    { type: '__proto__' },
    { type: 'text' },
    { ...file, url: 'javascript:alert(1)' },
    { ...file, url: '//evil.example/x' },
    { ...file, url: '/\\evil.example' },
    { ...file, url: 'data:text/html,x' },
    { ...file, url: 'https://' },
    { ...file, name: '' },
    { ...file, name: 'a\nb' },
    { ...file, mime: 'pdf' },
    { ...file, size: -1 },
    { ...file, size: 1.5 },
    { type: 'card' },
    { type: 'card', title: 'x'.repeat(201) },
    { type: 'event', name: '' },
    { type: 'event', name: 'x', data: { a: 'x\0' } },
    { type: 'event', name: 'x', data: { 'k\ud800': 1 } },
    { type: 'custom', deep },
  ];
  for (const body of wrong)
    t.equal(
      codeOf(() => parseMessageBody(body)),
      'bad_request',
      JSON.stringify(body),
    );
  t.equal(
    codeOf(() => parseMessageBody({ type: 'custom', text: 'x'.repeat(32 * 1024) })),
    'too_large',
  );
  t.equal(
    codeOf(() => parseMessageBody({ type: 'event', name: 'x', data: '客'.repeat(11_000) })),
    'too_large',
  );
});

t.test('attributes are at most 4 KiB as JSON', async (t) => {
  t.equal(
    codeOf(() => parseOpen({ attributes: { a: 'x'.repeat(4000) } })),
    'taken',
  );
  t.equal(
    codeOf(() => parseOpen({ attributes: { a: 'x'.repeat(4096) } })),
    'too_large',
  );
});

t.test('an HTTP body may be missing where all its fields are optional', async (t) => {
  t.strictSame(parseOpen(undefined), { group: undefined, subject: undefined, attributes: undefined });
  t.strictSame(parseClose(undefined), { reason: undefined });
  t.strictSame(parseVisitor({}), {
    name: undefined,
    externalId: undefined,
    channel: undefined,
    attributes: undefined,
  });
  t.throws(() => parseRating(undefined), { code: 'bad_request', message: /score/ });
  t.throws(() => parseLogin(undefined), { code: 'bad_request', message: /email/ });
  t.throws(() => parseOpen(null), { code: 'bad_request', message: /object/ });
  t.throws(() => parseOpen([]), { code: 'bad_request', message: /object/ });
});

t.test('ratings, visitors and logins are checked field by field', async (t) => {
  t.strictSame(parseRating({ score: 5, comment: 'good' }), { score: 5, comment: 'good' });
  for (const score of [0, 6, 2.5, '5', null])
    t.equal(
      codeOf(() => parseRating({ score })),
      'bad_request',
    );
  t.equal(
    codeOf(() => parseRating({ score: 1, comment: 'x'.repeat(2001) })),
    'bad_request',
  );
  t.strictSame(
    parseVisitor({ name: '李', external_id: 'crm-1', channel: 'web', attributes: { vip: true } }),
    {
      name: '李',
      externalId: 'crm-1',
      channel: 'web',
      attributes: { vip: true },
    },
  );
  for (const wrong of [
    { name: 'x'.repeat(101) },
    { external_id: '' },
    { channel: 'Web' },
    { name: 'a\tb' },
  ]) {
    t.equal(
      codeOf(() => parseVisitor(wrong)),
      'bad_request',
      JSON.stringify(wrong),
    );
  }
  t.strictSame(parseLogin({ email: 'Ann@Demo.kefu', password: ' p ' }), {
    email: 'ann@demo.kefu',
    password: ' p ',
  });
  for (const wrong of [
    { email: 'a' },
    { email: 'a', password: '' },
    { email: 'x'.repeat(255), password: 'p' },
  ]) {
    t.equal(
      codeOf(() => parseLogin(wrong)),
      'bad_request',
    );
  }
});
