import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../test/support/postgres.ts';
import { Flags } from '../support/flags.ts';
import { machine } from '../support/machine.ts';
import { markdown, type Row } from '../support/report.ts';
import { archive } from './archive.ts';
import { loadTalk } from './load.ts';
import { meanwhile } from './meanwhile.ts';
import { reads } from './reads.ts';
import { searches } from './searches.ts';

const allParts = ['search', 'tiers', 'meanwhile'] as const;

/** What to measure, and how much of it. */
export interface Plan {
  readonly parts: readonly (typeof allParts)[number][];
  /** In PostgreSQL, and in the search index. */
  readonly messages: number;
  /** Of these, sessions with about so many events go to the archive. */
  readonly archived: number;
  readonly reads: number;
  readonly searches: number;
  readonly seed: number;
  /** Of the part that talks meanwhile: messages loaded, pairs who talk, milliseconds of each run, rounds. */
  readonly meanwhileMessages: number;
  readonly pairs: number;
  readonly meanwhileMs: number;
  readonly rounds: number;
  /** For the memory: sessions of each tier, and how long an idle node is looked at. */
  readonly manySessions: number;
  readonly idleMs: number;
}

export const whole: Plan = {
  parts: allParts,
  messages: 1_000_000,
  archived: 400_000,
  reads: 1000,
  searches: 200,
  seed: 7,
  meanwhileMessages: 400_000,
  pairs: 100,
  meanwhileMs: 8000,
  rounds: 3,
  manySessions: 1_000_000,
  idleMs: 5000,
};
export const smoke: Plan = {
  parts: allParts,
  messages: 4000,
  archived: 2000,
  reads: 40,
  searches: 6,
  seed: 7,
  meanwhileMessages: 20_000,
  pairs: 10,
  meanwhileMs: 1000,
  rounds: 1,
  manySessions: 1000,
  idleMs: 500,
};

export interface Report {
  readonly rows: readonly Row[];
  readonly work: readonly string[];
}

/**
 * bench/history: seeded retail talk in Chinese and English, in a PostgreSQL of its own; the real archiver, history and
 * search on it. What was archived is compared event by event, and every word that is searched for is in what is found.
 */
export async function measure(
  plan: Plan,
  progress: (text: string) => void = () => undefined,
): Promise<Report> {
  const rows: Row[] = [];
  const work: string[] = [];
  const take = (part: { readonly rows: readonly Row[]; readonly work: string }): void => {
    rows.push(...part.rows);
    work.push(part.work);
  };
  if (plan.parts.includes('search') || plan.parts.includes('tiers')) await ofOneTable(plan, progress, take);
  if (plan.parts.includes('meanwhile')) take(await meanwhile(plan, progress));
  return { rows, work };
}

/** All on the same talk. */
async function ofOneTable(
  plan: Plan,
  progress: (text: string) => void,
  take: (part: { readonly rows: readonly Row[]; readonly work: string }) => void,
): Promise<void> {
  const pg = await startPostgres({ sharedBuffersBytes: 512 * 2 ** 20 });
  const folder = await mkdtemp(join(tmpdir(), 'kefu-bench-'));
  try {
    const talk = await loadTalk(pg, plan, progress);
    progress(`${talk.events} events in ${talk.sessions.length} sessions are in PostgreSQL`);
    if (plan.parts.includes('search')) take(await searches(pg, talk, plan, progress));
    if (!plan.parts.includes('tiers')) return;
    const stored = await archive(pg, talk, plan, folder);
    progress(stored.work);
    take(stored);
    take(await reads(pg, talk, plan, stored, folder));
  } finally {
    await pg.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const usage =
  'npm run bench history -- [--smoke] [--only search,tiers,meanwhile] [--messages N] [--rounds N] [--json FILE]\n';

export async function run(args: readonly string[]): Promise<void> {
  const flags = new Flags(args, usage, ['only', 'messages', 'rounds']);
  const base = flags.isSmoke ? smoke : whole;
  const messages = flags.number('messages', base.messages);
  const plan = {
    ...base,
    parts: flags.some('only', allParts),
    messages,
    archived: Math.min(base.archived, messages / 2),
    rounds: flags.number('rounds', base.rounds),
  };
  const report = await measure(plan, (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`\n${markdown(report.rows, report.work)}`);
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
