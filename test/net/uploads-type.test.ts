import fc from 'fast-check';
import t from 'tap';
import {
  cleanFileName,
  contentDisposition,
  isInlineType,
  sniffType,
  typeOfUpload,
  uploadHeaders,
} from '../../src/net/uploads-type.ts';

const png = Buffer.from('89504e470d0a1a0a0000000d', 'hex');
const jpeg = Buffer.from('ffd8ffe000104a4649460001', 'hex');
const gif = Buffer.from('GIF89a______');
const webp = Buffer.from('RIFF\x10\0\0\0WEBP');
const html = Buffer.from('<!doctype html><script>');

t.test('four kinds of image are known by their first bytes', async (t) => {
  t.equal(sniffType(png), 'image/png');
  t.equal(sniffType(jpeg), 'image/jpeg');
  t.equal(sniffType(gif), 'image/gif');
  t.equal(sniffType(webp), 'image/webp');
  for (const bytes of [
    html,
    Buffer.alloc(0),
    png.subarray(0, 7),
    Buffer.from('RIFF\0\0\0\0WAVE'),
    Buffer.from('GIF8'),
  ]) {
    t.equal(sniffType(bytes), undefined);
  }
});

t.test('the bytes decide about images, and nothing is kept under a type that could run', async (t) => {
  t.equal(typeOfUpload(png, 'text/html'), 'image/png');
  t.equal(typeOfUpload(html, 'image/png'), 'application/octet-stream');
  t.equal(typeOfUpload(html, 'application/pdf'), 'application/pdf');
  t.equal(typeOfUpload(html, 'Text/Plain; charset=utf-8'), 'text/plain');
  const refused = [
    'text/html',
    'image/svg+xml',
    'application/xhtml+xml',
    'text/xml',
    'application/javascript',
    '',
  ];
  refused.push(
    'text/javascript',
    'multipart/mixed',
    'text/css',
    'x',
    'a/b\r\nset-cookie: x',
    'TEXT/HTML; x',
    '/',
  );
  for (const type of refused) t.equal(typeOfUpload(html, type), 'application/octet-stream', type);
  t.equal(typeOfUpload(html, undefined), 'application/octet-stream');
  t.ok(isInlineType('image/webp'));
  t.notOk(isInlineType('image/svg+xml'));
  t.notOk(isInlineType('application/pdf'));
});

t.test('names lose folders, control characters and marks that hide an ending', async (t) => {
  const names: Record<string, string> = {
    'report.pdf': 'report.pdf',
    '../../etc/passwd': 'passwd',
    'C:\\Users\\me\\发票.pdf': '发票.pdf',
    'a\r\nb\0.txt': 'ab.txt',
    'photo\u202egpj.exe': 'photogpj.exe',
    '...': 'file',
    '': 'file',
    ' .hidden ': 'hidden',
    'a<b>:"c|?*.txt': 'a_b___c___.txt',
    '\ud800x': 'x',
  };
  for (const [name, clean] of Object.entries(names))
    t.equal(cleanFileName(name), clean, JSON.stringify(name));
  const long = cleanFileName(`${'😀'.repeat(400)}.pdf`);
  t.equal(Array.from(long).length, 200);
  t.ok(long.endsWith('😀.pdf'));
});

t.test('Content-Disposition carries any name in ASCII', async (t) => {
  t.equal(contentDisposition('a b.pdf', false), 'attachment; filename="a b.pdf"');
  t.equal(
    contentDisposition("发票 (1)'s.pdf", true),
    `inline; filename="__ (1)'s.pdf"; filename*=UTF-8''%E5%8F%91%E7%A5%A8%20%281%29%27s.pdf`,
  );
  t.equal(contentDisposition('50%.txt', false), `attachment; filename="50_.txt"; filename*=UTF-8''50%25.txt`);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const value = contentDisposition(name, false);
      return /^attachment; filename="[ !#-[\]-~]+"(; filename\*=UTF-8''[\w.~%-]+)?$/.test(value);
    }),
    { numRuns: 1000 },
  );
});

t.test('only images are shown inline, and every file in a sandbox', async (t) => {
  const headers = (mime: string): Record<string, string> => Object.fromEntries(uploadHeaders('a.png', mime));
  t.match(headers('image/png'), { 'content-disposition': /^inline/, 'x-content-type-options': 'nosniff' });
  t.match(headers('application/pdf'), {
    'content-disposition': /^attachment/,
    'content-security-policy': /sandbox/,
  });
});
