import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KefuError } from '../core/errors.ts';
import type { TokenKey } from './tokens.ts';

/**
 * The keys that sign tokens: `keys/token.json` in the data directory, `{"keys":[{"kid","secret"}]}` with secrets
 * in base64url, made at the first start. To change keys, put a new one first and restart; drop the old one when
 * its last token has ended. `given` takes the file's place: one or more secrets of at least 32 bytes, separated by
 * commas and in the same order of use; the nodes of a cluster need the same.
 */
export async function loadTokenKeys(dataDir: string, given?: string): Promise<TokenKey[]> {
  if (given !== undefined && given !== '') return given.split(',').map(givenKey);
  const path = join(dataDir, 'keys', 'token.json');
  const text = (await readIfThere(path)) ?? (await createFile(path));
  return parseKeys(text, path);
}

function givenKey(given: string): TokenKey {
  const secret = Buffer.from(given.trim());
  if (secret.length < 32) throw new KefuError('bad_request', 'the given token key must be at least 32 bytes');
  // From the secret itself, so that all nodes call a key the same, and a changed one differently.
  return { kid: createHash('sha256').update(secret).digest('base64url').slice(0, 8), secret };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function createFile(path: string): Promise<string> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const key = { kid: randomBytes(6).toString('base64url'), secret: randomBytes(32).toString('base64url') };
  const text = `${JSON.stringify({ keys: [key] }, undefined, 2)}\n`;
  const temporary = `${path}.${key.kid}.tmp`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // A link, not a rename: of two processes that start at once the second must take the first one's key.
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return await readFile(path, 'utf8');
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(directory);
  return text;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseKeys(text: string, path: string): TokenKey[] {
  const wrong = new KefuError(
    'internal',
    `${path} must be {"keys":[{"kid":"…","secret":"base64url of 32 bytes or more"}]}`,
  );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong;
  }
  const entries = (value as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(entries) || entries.length === 0) throw wrong;
  const keys = entries.map((entry: { kid?: unknown; secret?: unknown } | null): TokenKey => {
    if (typeof entry?.kid !== 'string' || entry.kid === '' || typeof entry.secret !== 'string') throw wrong;
    const secret = Buffer.from(entry.secret, 'base64url');
    if (secret.length < 32) throw wrong;
    return { kid: entry.kid, secret };
  });
  if (new Set(keys.map((key) => key.kid)).size !== keys.length) throw wrong;
  return keys;
}
