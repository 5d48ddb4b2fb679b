import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import t from 'tap';
import { loadStaticFiles, staticBytesMax } from '../../src/net/static-files.ts';
import type { StaticResponse } from '../../src/net/static-files.ts';

const page = `<!doctype html><p>${'kefu '.repeat(1000)}</p>`;
const tree = {
  'index.html': page,
  'desk.html': `${page}desk`,
  'widget.html': `${page}widget`,
  'widget.js': `(()=>{${'x;'.repeat(2000)}})()`,
  'tiny.css': 'a{}',
  'logo.png': Buffer.alloc(4000, 1),
  'odd.zzz': 'odd',
  '.secret': 'no',
  assets: { 'app-a1b2.js': 'x;'.repeat(2000), 'sub.html': 'sub' },
};

function header(response: StaticResponse | undefined, name: string): string | undefined {
  return response?.headers.find(([key]) => key === name)?.[1];
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

t.test('pages are found by their paths and nothing else is', async (t) => {
  const outer = t.testdir({ web: tree, 'outside.txt': 'no', link: t.fixture('symlink', 'outside.txt') });
  const files = await loadStaticFiles(join(outer, 'web'));
  const at = (path: string): string | undefined => {
    const response = files.respond(path, '', '');
    return response && textOf(response.body);
  };
  t.equal(at('/'), page);
  t.equal(at('/index.html'), page);
  t.equal(at('/desk'), `${page}desk`);
  t.equal(at('/desk.html'), `${page}desk`);
  t.equal(at('/assets/sub.html'), 'sub');
  const missing = ['', '/assets', '/assets/sub', '/nope', '//', '/../outside.txt', '/%2e%2e/outside.txt'];
  missing.push(
    '/assets/../index.html',
    '/.secret',
    '/__proto__',
    '/constructor',
    '/index.html/',
    '/INDEX.HTML',
  );
  for (const path of missing) t.equal(at(path), undefined, path);
  await files.compressed;
});

t.test('types, caching and security are told per file', async (t) => {
  const files = await loadStaticFiles(t.testdir(tree));
  const get = (path: string): StaticResponse | undefined => files.respond(path, '', '');
  t.equal(header(get('/'), 'content-type'), 'text/html; charset=utf-8');
  t.equal(header(get('/widget.js'), 'content-type'), 'text/javascript; charset=utf-8');
  t.equal(header(get('/odd.zzz'), 'content-type'), 'application/octet-stream');
  t.equal(header(get('/assets/app-a1b2.js'), 'cache-control'), 'public, max-age=31536000, immutable');
  for (const path of ['/', '/desk', '/widget.js', '/logo.png']) {
    t.equal(header(get(path), 'cache-control'), 'no-cache', path);
    t.equal(header(get(path), 'x-content-type-options'), 'nosniff');
    t.ok(header(get(path), 'referrer-policy'));
  }
  t.match(header(get('/desk'), 'content-security-policy'), /default-src 'self';.*frame-ancestors 'self'$/);
  t.match(header(get('/widget.html'), 'content-security-policy'), /frame-ancestors \*$/);
  t.match(header(get('/widget'), 'content-security-policy'), /frame-ancestors \*$/);
  t.equal(header(get('/widget.js'), 'cross-origin-resource-policy'), 'cross-origin');
  t.equal(header(get('/desk'), 'cross-origin-resource-policy'), undefined);
});

t.test('the best encoding that the browser takes is sent, once it is there', async (t) => {
  const files = await loadStaticFiles(t.testdir(tree));
  await files.compressed;
  const encodings: Record<string, string | undefined> = {
    '': undefined,
    'gzip, deflate, br, zstd': 'br',
    'gzip, deflate': 'gzip',
    'br;q=0, gzip;q=0.5': 'gzip',
    'br;q=0.0,gzip;q=0': undefined,
    'BR ; q=1': 'br',
    'xbr, brx': undefined,
    identity: undefined,
  };
  for (const [accepted, encoding] of Object.entries(encodings)) {
    const response = files.respond('/', accepted, '')!;
    t.equal(header(response, 'content-encoding'), encoding, accepted);
    t.equal(header(response, 'vary'), 'Accept-Encoding');
    const body = Buffer.from(response.body);
    const plain =
      encoding === 'br' ? brotliDecompressSync(body) : encoding === 'gzip' ? gunzipSync(body) : body;
    t.equal(plain.toString(), page);
  }
  for (const path of ['/logo.png', '/tiny.css']) {
    t.equal(header(files.respond(path, 'br, gzip', ''), 'content-encoding'), undefined, path);
  }
});

t.test('who has a file already gets 304, and each encoding has its own strong ETag', async (t) => {
  const files = await loadStaticFiles(t.testdir(tree));
  await files.compressed;
  const [plain, brotli] = [files.respond('/', '', '')!, files.respond('/', 'br', '')!];
  const etag = header(plain, 'etag')!;
  t.equal(etag, `"${createHash('sha256').update(page).digest('base64url')}"`);
  t.not(header(brotli, 'etag'), etag);
  for (const known of [etag, header(brotli, 'etag')!, `W/${etag}`, `"x", ${etag}`, '*']) {
    const response = files.respond('/', 'br', known)!;
    t.equal(response.status, 304, known);
    t.equal(response.body.length, 0);
    t.equal(header(response, 'etag'), header(brotli, 'etag'));
    t.equal(header(response, 'content-type'), undefined);
    t.equal(header(response, 'cache-control'), 'no-cache');
  }
  t.equal(files.respond('/', '', '"other"')!.status, 200);
  t.equal(files.respond('/', '', header(files.respond('/desk', '', ''), 'etag')!)!.status, 200);
});

t.test('a folder that was not built is empty, one that is too big is refused', async (t) => {
  const none = await loadStaticFiles(join(t.testdir(), 'missing'));
  t.equal(none.size, 0);
  t.equal(none.respond('/', '', ''), undefined);
  const half = Buffer.alloc(staticBytesMax / 2);
  const directory = t.testdir({ a: half, b: half, c: 'x' });
  await t.rejects(loadStaticFiles(directory), { code: 'too_large' });
});
