import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { KefuError } from '../core/errors.ts';
import { BoundedQueue } from '../core/bounded-queue.ts';

/** scrypt's costs: `cost` is N, a power of two; a hash takes 128 · N · r bytes of memory. */
export interface ScryptCost {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

// OWASP's N = 2^15, r = 8, p = 3 takes three times as long; one of them is 32 MiB and, on the machine that this was
// written on, 60 to 90 ms. The parameters are in each hash, so that they can be raised later.
export const scryptCost: ScryptCost = { cost: 2 ** 15, blockSize: 8, parallelization: 1 };

/** Hashes at once; libuv has four threads by default, which files and DNS share. */
const runningMax = 4;
/** Logins that wait for their turn; beyond, `busy`. */
const waitingMax = 64;
const retryAfterMs = 1000;
const hashBytes = 32;

interface Encoded extends ScryptCost {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** `scrypt$N$r$p$salt$hash`, the last two base64url. Throws KefuError `busy` when 64 wait already. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, scryptCost, hashBytes);
  const { cost, blockSize, parallelization } = scryptCost;
  return `scrypt$${cost}$${blockSize}$${parallelization}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

// What an unknown e-mail's password is compared with, so that its answer takes as long; no password fits it.
const nobody: Encoded = { ...scryptCost, salt: Buffer.alloc(16, 1), hash: Buffer.alloc(hashBytes) };

/**
 * Whether `password` is the one behind `encoded`; false for undefined (no such agent) and for a text that is no
 * hash of ours, after the same work. Throws KefuError `busy` when 64 wait already.
 */
export async function verifyPassword(password: string, encoded: string | undefined): Promise<boolean> {
  const known = encoded === undefined ? undefined : parse(encoded);
  const expected = known ?? nobody;
  const hash = await derive(password, expected.salt, expected, expected.hash.length);
  return timingSafeEqual(hash, expected.hash) && known !== undefined;
}

/** Whether a hash was made with weaker costs than today's: make it anew at the next login that succeeds. */
export function isOutdatedHash(encoded: string): boolean {
  const known = parse(encoded);
  return known === undefined || known.cost * known.blockSize < scryptCost.cost * scryptCost.blockSize;
}

const encodedPattern = /^scrypt\$(\d{1,8})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,128})\$([\w-]{22,128})$/;

function parse(encoded: string): Encoded | undefined {
  const match = encodedPattern.exec(encoded);
  if (match === null) return undefined;
  const [cost, blockSize, parallelization] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isPowerOfTwo = cost >= 2 && (cost & (cost - 1)) === 0;
  // A row that somebody else wrote must not make one login take gigabytes.
  if (!isPowerOfTwo || blockSize < 1 || parallelization < 1 || memoryOf(cost, blockSize) > 2 ** 28)
    return undefined;
  const [salt, hash] = [Buffer.from(match[4]!, 'base64url'), Buffer.from(match[5]!, 'base64url')];
  return { cost, blockSize, parallelization, salt, hash };
}

function memoryOf(cost: number, blockSize: number): number {
  return 128 * cost * blockSize;
}

let running = 0;
const waiting = new BoundedQueue<() => void>(waitingMax);

async function derive(password: string, salt: Buffer, costs: ScryptCost, length: number): Promise<Buffer> {
  await turn();
  try {
    return await scryptOf(password, salt, costs, length);
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

/** The turn passes from the one that ends to the one that waited longest: `running` only falls when none waits. */
function turn(): Promise<void> | undefined {
  if (running < runningMax) {
    running += 1;
    return undefined;
  }
  return new Promise((resolve, reject) => {
    if (waiting.push(resolve)) return;
    reject(new KefuError('busy', 'too many people are signing in at once', { retryAfterMs }));
  });
}

function scryptOf(password: string, salt: Buffer, costs: ScryptCost, length: number): Promise<Buffer> {
  const { cost, blockSize, parallelization } = costs;
  // The same letters may come composed or decomposed, by keyboard: NFKC as RFC 8265 has it for passwords.
  const text = password.normalize('NFKC');
  const maxmem = memoryOf(cost, blockSize) + 128 * blockSize * (parallelization + 4);
  return new Promise((resolve, reject) => {
    scrypt(text, salt, length, { cost, blockSize, parallelization, maxmem }, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}
