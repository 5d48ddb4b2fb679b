import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { StartError } from '../core/start-error.ts';
import { profiles, type Profile } from './schedule.ts';
import { parseThreshold, type Threshold } from './thresholds.ts';
import type { Language } from './words.ts';

/** What `kefu stress` was asked for. */
export interface Options {
  /** Undefined: a node of its own. */
  readonly urls: string | undefined;
  readonly customers: number;
  readonly agents: number;
  /** Messages a second, of both sides together. */
  readonly rate: number;
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly profile: Profile;
  readonly processes: number;
  readonly seed: number;
  readonly admin: { readonly email: string; readonly password: string } | undefined;
  readonly thresholds: readonly Threshold[];
  readonly report: string | undefined;
  readonly json: string | undefined;
  readonly isQuiet: boolean;
  readonly isSure: boolean;
  readonly language: Language;
}

export const usage = `kefu stress [--url http://HOST:PORT[,more]] [--customers 200] [--agents N] [--rate N] [--duration 60s] [--warmup N]
  [--profile steady|surge|storm|reconnect] [--processes N] [--seed N] [--admin EMAIL:PASSWORD] [--yes]
  [--threshold 'ack_p99<50ms']… [--report FILE.html] [--json FILE] [--quiet] [--lang en|zh-CN]
without --url it starts a node of its own; see docs/stress.md
`;

const flags = {
  url: { type: 'string' },
  customers: { type: 'string' },
  agents: { type: 'string' },
  rate: { type: 'string' },
  duration: { type: 'string' },
  warmup: { type: 'string' },
  profile: { type: 'string' },
  processes: { type: 'string' },
  seed: { type: 'string' },
  admin: { type: 'string' },
  threshold: { type: 'string', multiple: true },
  report: { type: 'string' },
  json: { type: 'string' },
  lang: { type: 'string' },
  quiet: { type: 'boolean' },
  yes: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Messages a second that one generator makes without falling behind, and people that it carries. */
const processMessages = 2500;
const processCustomers = 5000;
const customersOfAgent = 20;
/** What a surge of arrivals comes to, in conversations: capacity of agents, and the time it takes, keep it below ten times. */
const surgeLoad = 5;
const secondsBetween = 5;
const fillPerSecond = 200;

type Env = Readonly<Record<string, string | undefined>>;

/** Undefined when only the usage was asked for; throws StartErrors. */
export function readOptions(args: readonly string[], env: Env, randomSeed: number): Options | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const customers = numberOf('--customers', values.customers, 200, 1, 200_000);
  const agents = numberOf(
    '--agents',
    values.agents,
    Math.max(2, Math.ceil(customers / customersOfAgent)),
    1,
    5000,
  );
  const rate = numberOf('--rate', values.rate, customers / secondsBetween, 0.1, 100_000, true);
  const profile = oneOf('--profile', values.profile ?? 'steady', profiles);
  const most = profile === 'surge' ? surgeLoad : 1;
  const wanted = most * Math.max(rate / processMessages, customers / processCustomers);
  const usual = Math.min(Math.max(1, Math.ceil(wanted)), availableParallelism());
  const fillMs = Math.max(5, Math.ceil(customers / fillPerSecond)) * 1000;
  const admin = values.admin ?? env['KEFU_STRESS_ADMIN'];
  return {
    urls: values.url,
    customers,
    agents,
    rate,
    durationMs: durationOf('--duration', values.duration, 60_000, 3000),
    warmupMs: durationOf('--warmup', values.warmup, fillMs, 1000),
    profile,
    processes: numberOf('--processes', values.processes, usual, 1, 30),
    seed: numberOf('--seed', values.seed, randomSeed, 0, 2 ** 32),
    admin: admin === undefined ? undefined : adminOf(admin),
    thresholds: (values.threshold ?? []).map(parseThreshold),
    report: values.report,
    json: values.json,
    isQuiet: values.quiet === true,
    isSure: values.yes === true,
    language: languageOf(values.lang, env),
  };
}

function parsed(args: readonly string[]): ReturnType<typeof parse>['values'] {
  try {
    return parse(args).values;
  } catch (error) {
    throw new StartError(`${(error as Error).message}\n${usage.trimEnd()}`);
  }
}

const parse = (args: readonly string[]) => parseArgs({ args: [...args], options: flags, strict: true });

function numberOf(
  flag: string,
  text: string | undefined,
  otherwise: number,
  min: number,
  max: number,
  isFraction = false,
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max) || !(isFraction || Number.isInteger(value)))
    throw new StartError(`${flag}: ${JSON.stringify(text)} is no number from ${min} to ${max}`);
  return value;
}

function durationOf(flag: string, text: string | undefined, otherwiseMs: number, minMs: number): number {
  if (text === undefined) return otherwiseMs;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
  if (!(ms >= minMs && ms <= dayMs))
    throw new StartError(
      `${flag}: ${JSON.stringify(text)} is no time like 60s or 5m, from ${minMs}ms to 24h`,
    );
  return Math.ceil(ms / 1000) * 1000;
}

const dayMs = 86_400_000;
const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

function oneOf<T extends string>(flag: string, text: string, list: readonly T[]): T {
  const found = list.find((it) => it === text);
  if (found === undefined)
    throw new StartError(`${flag}: ${JSON.stringify(text)} is none of ${list.join(', ')}`);
  return found;
}

function adminOf(text: string): { email: string; password: string } {
  const place = text.indexOf(':');
  if (place < 1 || place === text.length - 1)
    throw new StartError('--admin: EMAIL:PASSWORD, or the same in KEFU_STRESS_ADMIN');
  return { email: text.slice(0, place), password: text.slice(place + 1) };
}

function languageOf(flag: string | undefined, env: Env): Language {
  if (flag !== undefined) return oneOf('--lang', flag, ['en', 'zh-CN']);
  const locale = env['LC_ALL'] ?? env['LC_MESSAGES'] ?? env['LANG'] ?? '';
  return locale.startsWith('zh') ? 'zh-CN' : 'en';
}
