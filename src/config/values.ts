import { StartError } from '../core/start-error.ts';
import type { Key } from './keys.ts';

/** A configuration that can't be: names the key, where it came from, and how to mend it. One line, whatever it quotes. */
export class ConfigError extends StartError {
  constructor(message: string) {
    super(message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' '));
  }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** A value as it was written, checked; `where` says whose it is, as in `--port` or `KEFU_PORT`. */
export function valueOf(key: Key, given: unknown, where: string): string | number | boolean | string[] {
  const shown = key.secret === true ? 'its value' : (JSON.stringify(given) ?? String(given)).slice(0, 80);
  const refuse = (expected: string): never => {
    throw new ConfigError(`${where}: ${shown} is not ${expected}`);
  };
  switch (key.kind) {
    case 'text':
      // No path, name or URL has control characters; a zero byte would make file calls throw later.
      return typeof given === 'string' && !/\p{Cc}/u.test(given) ? given : refuse('a text of one line');
    case 'choice': {
      const { choices = [] } = key;
      return typeof given === 'string' && choices.includes(given)
        ? given
        : refuse(`one of ${choices.join(', ')}`);
    }
    case 'flag':
      if (given === true || given === 'true' || given === '1') return true;
      if (given === false || given === 'false' || given === '0') return false;
      return refuse('true or false');
    case 'list': {
      const list = typeof given === 'string' ? given.split(',').map((it) => it.trim()) : given;
      const isList =
        Array.isArray(list) && list.length > 0 && list.every((it) => typeof it === 'string' && it !== '');
      return isList ? (list as string[]) : refuse('a list of texts');
    }
    case 'count':
      return within(key, number(given, /^\d{1,15}$/), refuse, 'a whole number');
    case 'ms':
      return within(key, duration(given), refuse, 'a duration like 500ms, 2s, 5m, 12h or 30d');
    case 'bytes':
      return within(key, size(given), refuse, 'a size like 65536, 64KiB or 10MiB');
  }
}

function within(
  key: Key,
  value: number | undefined,
  refuse: (expected: string) => never,
  expected: string,
): number {
  if (value === undefined) return refuse(expected);
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = key;
  // The bounds are in the key's smallest unit: milliseconds or bytes.
  const unit = key.kind === 'ms' ? ' ms' : key.kind === 'bytes' ? ' bytes' : '';
  if (value < min || value > max) return refuse(`between ${min} and ${max}${unit}`);
  return value;
}

function number(given: unknown, pattern: RegExp): number | undefined {
  if (typeof given === 'number') return Number.isSafeInteger(given) ? given : undefined;
  return typeof given === 'string' && pattern.test(given) ? Number(given) : undefined;
}

function duration(given: unknown): number | undefined {
  if (given === 0 || given === '0') return 0;
  const match = typeof given === 'string' ? /^(\d{1,12})(ms|s|m|h|d)$/.exec(given) : null;
  return match === null ? undefined : Number(match[1]) * units[match[2]!]!;
}

function size(given: unknown): number | undefined {
  if (typeof given === 'number') return number(given, /./);
  const match = typeof given === 'string' ? /^(\d{1,15})(|B|KiB|MiB|GiB|kB|MB|GB)$/.exec(given) : null;
  return match === null ? undefined : Number(match[1]) * sizes[match[2]!]!;
}
