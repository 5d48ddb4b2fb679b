import { createHash } from 'node:crypto';
import { SignJWT, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import { isId } from '../core/ids.ts';

/** Who a token stands for. A customer has no role and no groups. */
export interface Identity {
  readonly kind: 'customer' | 'agent' | 'bot';
  readonly id: string;
  readonly name?: string;
  readonly role?: string;
  readonly groups?: readonly string[];
}

export interface VerifiedToken {
  readonly identity: Identity;
  /** When the token ends, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

export interface TokenKey {
  /** Names the key in a token's header, so that old tokens stay valid while keys are changed. */
  readonly kid: string;
  /** At least 32 bytes, as HS256 demands. */
  readonly secret: Uint8Array;
}

export interface TokensOptions {
  /** The first signs, all verify. */
  readonly keys: readonly TokenKey[];
  readonly clock: Clock;
  /** Verified tokens that are remembered, so that a reconnect storm costs one SHA-256 each; default 20,000. */
  readonly cacheMax?: number;
}

export interface Tokens {
  sign(identity: Identity, ttlMs: number): Promise<string>;
  /** Undefined for anything but a valid token of ours that has not ended: the reason helps only a forger. */
  verify(token: string): Promise<VerifiedToken | undefined>;
  /** A signature that opens one path for a while, to whoever has it; nothing else. */
  signPath(path: string, ttlMs: number): Promise<string>;
  verifyPath(path: string, signature: string): Promise<boolean>;
}

const issuer = 'kefu';
const algorithm = 'HS256';
/** A longer token is not even looked at. */
export const tokenBytesMax = 4096;

export function createTokens(options: TokensOptions): Tokens {
  const { keys, clock } = options;
  const signing = keys[0];
  assert(signing, 'tokens need at least one key');
  for (const key of keys)
    assert(key.secret.length >= 32, `the token key ${key.kid} is shorter than 32 bytes`);
  const secrets = new Map(keys.map((key) => [key.kid, key.secret]));
  const verified = new LRUCache<string, VerifiedToken>({ max: options.cacheMax ?? 20_000 });

  async function sign(identity: Identity, ttlMs: number): Promise<string> {
    const seconds = Math.floor(clock.wallMs() / 1000);
    const { kind, id, name, role, groups } = identity;
    return new SignJWT({
      kind,
      ...(name === undefined ? {} : { name }),
      ...(role === undefined ? {} : { role }),
      ...(groups === undefined ? {} : { groups: [...groups] }),
    })
      .setProtectedHeader({ alg: algorithm, kid: signing!.kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(id)
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + Math.ceil(ttlMs / 1000))
      .sign(signing!.secret);
  }

  async function verify(token: string): Promise<VerifiedToken | undefined> {
    // In characters first: a token is ASCII, so this is its length, and hashing a megabyte is never begun.
    if (token === '' || token.length > tokenBytesMax) return undefined;
    // By hash, for a dump of the cache must not be a list of tokens.
    const key = createHash('sha256').update(token).digest('base64');
    const known = verified.get(key);
    if (known !== undefined) {
      if (clock.wallMs() < known.expiresAtMs) return known;
      verified.delete(key);
      return undefined;
    }
    const payload = await payloadOf(token);
    const found = payload === undefined ? undefined : verifiedOf(payload);
    if (found !== undefined) verified.set(key, found);
    return found;
  }

  async function payloadOf(token: string): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(
        token,
        (header) => {
          const secret = header.kid === undefined ? undefined : secrets.get(header.kid);
          if (secret === undefined) throw new Error('unknown key');
          return secret;
        },
        {
          algorithms: [algorithm],
          issuer,
          requiredClaims: ['sub', 'exp'],
          currentDate: new Date(clock.wallMs()),
        },
      );
      return payload;
    } catch {
      return undefined;
    }
  }

  async function signPath(path: string, ttlMs: number): Promise<string> {
    const seconds = Math.floor(clock.wallMs() / 1000);
    return new SignJWT({ path })
      .setProtectedHeader({ alg: algorithm, kid: signing!.kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject('path')
      .setExpirationTime(seconds + Math.ceil(ttlMs / 1000))
      .sign(signing!.secret);
  }

  async function verifyPath(path: string, signature: string): Promise<boolean> {
    if (signature === '' || signature.length > tokenBytesMax) return false;
    const payload = await payloadOf(signature);
    return payload?.sub === 'path' && payload['path'] === path;
  }

  return { sign, verify, signPath, verifyPath };
}

/** Undefined for a token that is signed by us but for something else than an identity. */
function verifiedOf(payload: JWTPayload): VerifiedToken | undefined {
  const { sub: id, exp } = payload;
  const kind = payload['kind'];
  if (!isId(id) || exp === undefined) return undefined;
  if (kind !== 'customer' && kind !== 'agent' && kind !== 'bot') return undefined;
  const name = payload['name'];
  const role = payload['role'];
  const groups = payload['groups'];
  const identity: Identity = {
    kind,
    id,
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof role === 'string' ? { role } : {}),
    ...(Array.isArray(groups) ? { groups: groups.filter((group) => typeof group === 'string') } : {}),
  };
  return { identity, expiresAtMs: exp * 1000 };
}
