import t from 'tap';
import { hashPassword, isOutdatedHash, verifyPassword } from '../../src/net/passwords.ts';

t.test('a password fits its own hash and no other', async (t) => {
  const hash = await hashPassword('demo');
  t.match(hash, /^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
  t.not(hash, await hashPassword('demo'), 'each hash has its own salt');
  t.equal(await verifyPassword('demo', hash), true);
  t.equal(await verifyPassword('Demo', hash), false);
  t.equal(await verifyPassword('', hash), false);
  t.notOk(isOutdatedHash(hash));
});

t.test('a composed and a decomposed letter are the same', async (t) => {
  const hash = await hashPassword('caf\u00e9');
  t.equal(await verifyPassword('cafe\u0301', hash), true);
});

t.test('an unknown agent and a hash that is none of ours are false', async (t) => {
  t.equal(await verifyPassword('demo', undefined), false);
  for (const encoded of ['', 'demo', '$2b$10$abc', `scrypt$3$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`]) {
    t.equal(await verifyPassword('demo', encoded), false);
    t.ok(isOutdatedHash(encoded));
  }
  // 128 · 2^24 · 8 would be 16 GiB: it must not be tried.
  t.equal(await verifyPassword('demo', `scrypt$16777216$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`), false);
});

t.test('a hash of other costs is verified by its own and known as outdated', async (t) => {
  const { scryptSync } = await import('node:crypto');
  const salt = Buffer.alloc(16, 7);
  const hash = scryptSync('demo', salt, 32, { N: 1024, r: 8, p: 1 });
  const encoded = `scrypt$1024$8$1$${salt.toString('base64url')}$${hash.toString('base64url')}`;
  t.equal(await verifyPassword('demo', encoded), true);
  t.ok(isOutdatedHash(encoded));
});

t.test('four run, 64 wait, and the next is told to come back; then all of the 68 are answered', async (t) => {
  const salt = 'A'.repeat(22);
  const cheap = `scrypt$2$1$1$${salt}$${'A'.repeat(43)}`;
  const checks = Array.from({ length: 68 }, () => verifyPassword('x', cheap));
  await t.rejects(verifyPassword('x', cheap), { code: 'busy', retryAfterMs: 1000 });
  await t.rejects(hashPassword('x'), { code: 'busy' });
  t.strictSame(new Set(await Promise.all(checks)), new Set([false]));
  t.equal(await verifyPassword('x', cheap), false, 'the turns were given back');
});
