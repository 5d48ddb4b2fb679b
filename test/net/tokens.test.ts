import { readFile, stat, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT, UnsecuredJWT } from 'jose';
import t from 'tap';
import type { Clock } from '../../src/core/clock.ts';
import { loadTokenKeys } from '../../src/net/token-keys.ts';
import { createTokens, tokenBytesMax } from '../../src/net/tokens.ts';
import type { Identity } from '../../src/net/tokens.ts';

const id = '0190b8a0-0000-7000-8000-000000000000';
const agent: Identity = { kind: 'agent', id, name: 'Ann', role: 'admin', groups: ['support'] };
const customer: Identity = { kind: 'customer', id };
const [oldKey, newKey] = [
  { kid: 'old', secret: Buffer.alloc(32, 1) },
  { kid: 'new', secret: Buffer.alloc(32, 2) },
];

/** A clock that the test moves. */
class HandClock implements Clock {
  ms = Date.UTC(2026, 0, 1);
  nowMs = (): number => this.ms;
  wallMs = (): number => this.ms;
  after = (): (() => void) => () => undefined;
  soon = (): void => undefined;
}

t.test('a token stands for whom it was made, until it ends, also out of the cache', async (t) => {
  const clock = new HandClock();
  const tokens = createTokens({ keys: [newKey], clock });
  for (const identity of [agent, customer, { kind: 'bot', id, name: 'Bot' } as const]) {
    const token = await tokens.sign(identity, 60_000);
    t.strictSame(await tokens.verify(token), { identity, expiresAtMs: clock.ms + 60_000 });
    t.equal(await tokens.verify(token), await tokens.verify(token), 'the same object: it was remembered');
  }
  const token = await tokens.sign(agent, 60_000);
  await tokens.verify(token);
  clock.ms += 59_999;
  t.ok(await tokens.verify(token));
  clock.ms += 1;
  t.equal(await tokens.verify(token), undefined);
  t.equal(await createTokens({ keys: [newKey], clock }).verify(token), undefined);
});

t.test('keys can be changed: the first signs, all verify, an unknown one does not', async (t) => {
  const clock = new HandClock();
  const before = createTokens({ keys: [oldKey], clock });
  const during = createTokens({ keys: [newKey, oldKey], clock });
  const after = createTokens({ keys: [newKey], clock });
  const old = await before.sign(agent, 1000);
  t.ok(await during.verify(old));
  t.equal(await after.verify(old), undefined);
  t.ok(await after.verify(await during.sign(agent, 1000)));
});

t.test('what is not a token of ours is undefined, never an error', async (t) => {
  const clock = new HandClock();
  const tokens = createTokens({ keys: [newKey], clock });
  const token = await tokens.sign(agent, 60_000);
  const [head, body, signature] = token.split('.') as [string, string, string];
  const sign = (claims: object, header: object, secret = newKey.secret): Promise<string> =>
    new SignJWT({ iss: 'kefu', sub: id, kind: 'agent', exp: clock.ms / 1000 + 60, ...claims })
      .setProtectedHeader({ alg: 'HS256', kid: 'new', ...header })
      .sign(secret);
  t.ok(await tokens.verify(await sign({}, {})), 'the forgeries below differ from this one in one point each');
  const forged: Record<string, string> = {
    empty: '',
    nonsense: 'abc',
    'not ASCII': '令牌.令牌.令牌',
    'too long': `${head}.${body}.${'A'.repeat(tokenBytesMax)}`,
    'another signature': `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'no signature': `${head}.${body}.`,
    'alg none': new UnsecuredJWT({ kind: 'agent' })
      .setSubject(id)
      .setIssuer('kefu')
      .setExpirationTime('1h')
      .encode(),
    'another algorithm': await sign({}, { alg: 'HS512' }, Buffer.alloc(64, 2)),
    'another secret': await sign({}, {}, Buffer.alloc(32, 9)),
    'an unknown kid': await sign({}, { kid: 'toString' }),
    'no kid': await sign({}, { kid: undefined }),
    'another issuer': await sign({ iss: 'other' }, {}),
    'no end': await sign({ exp: undefined }, {}),
    ended: await sign({ exp: clock.ms / 1000 - 1 }, {}),
    'not yet begun': await sign({ nbf: clock.ms / 1000 + 10 }, {}),
    'no id': await sign({ sub: undefined }, {}),
    'an id that is none': await sign({ sub: 'root' }, {}),
    'another kind': await sign({ kind: 'system' }, {}),
  };
  for (const [name, value] of Object.entries(forged)) t.equal(await tokens.verify(value), undefined, name);
});

t.test('the cache is bounded', async (t) => {
  const clock = new HandClock();
  const tokens = createTokens({ keys: [newKey], clock, cacheMax: 2 });
  const made = await Promise.all([1, 2, 3].map((n) => tokens.sign({ ...agent, name: `A${n}` }, 60_000)));
  const first = await tokens.verify(made[0]!);
  await tokens.verify(made[1]!);
  await tokens.verify(made[2]!);
  t.not(await tokens.verify(made[0]!), first, 'it had to be verified again');
});

t.test('a short or missing key is a bug', async (t) => {
  const clock = new HandClock();
  t.throws(() => createTokens({ keys: [], clock }));
  t.throws(() => createTokens({ keys: [{ kid: 'a', secret: Buffer.alloc(31) }], clock }));
});

t.test('the key file is made once, for its owner only, and several starts at once agree', async (t) => {
  const directory = t.testdir();
  const all = await Promise.all(Array.from({ length: 8 }, () => loadTokenKeys(directory)));
  for (const keys of all) t.strictSame(keys, all[0]);
  t.strictSame(await loadTokenKeys(directory), all[0]);
  t.equal(all[0]![0]!.secret.length, 32);
  const path = join(directory, 'keys', 'token.json');
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.match(JSON.parse(await readFile(path, 'utf8')), { keys: [{ kid: String, secret: String }] });
});

t.test('a key file may hold several keys; a broken one is an error, not a new key', async (t) => {
  const directory = t.testdir();
  await mkdir(join(directory, 'keys'));
  const path = join(directory, 'keys', 'token.json');
  const entry = (key: typeof newKey): object => ({ kid: key.kid, secret: key.secret.toString('base64url') });
  await writeFile(path, JSON.stringify({ keys: [entry(newKey), entry(oldKey)] }));
  t.strictSame(await loadTokenKeys(directory), [newKey, oldKey]);
  const broken = ['', '{}', '{"keys":[]}', '{"keys":[null]}', '{"keys":[{"kid":"a","secret":"c2hvcnQ"}]}'];
  broken.push(JSON.stringify({ keys: [entry(newKey), entry(newKey)] }));
  for (const text of broken) {
    await writeFile(path, text);
    await t.rejects(loadTokenKeys(directory), { code: 'internal' }, text);
    t.equal(await readFile(path, 'utf8'), text);
  }
});

t.test('given keys take the place of the file', async (t) => {
  const directory = t.testdir();
  const [one, two] = ['a'.repeat(32), 'b'.repeat(40)];
  const keys = await loadTokenKeys(directory, `${two}, ${one}`);
  t.strictSame(
    keys.map((key) => Buffer.from(key.secret).toString()),
    [two, one],
  );
  t.strictSame(
    keys[1],
    (await loadTokenKeys(directory, one))[0],
    'the same key has the same name on every node',
  );
  await t.rejects(loadTokenKeys(directory, 'short'), { code: 'bad_request' });
  await t.rejects(stat(join(directory, 'keys')));
});
