import { createWriteStream } from 'node:fs';
import { loadConfig, type Config } from './config.ts';
import { openHistoryDatabase } from './history-database.ts';
import { realChance, realClock } from './core/real-clock.ts';
import { StartError } from './core/start-error.ts';
import { ColdEvents } from './store/cold-events.ts';
import { openPool, Reader, type DatabaseAddress } from './store/database.ts';
import { ArchiveTools, type Selection } from './store/archive-tools.ts';
import { openObjectStore } from './store/open-object-store.ts';
import { ArchiveDictionaries } from './store/segment-store.ts';

/** `kefu history …`: the archive from outside, beside a node that runs, or with its PostgreSQL started for the command. */
const usage = `kefu history verify  [--json]
kefu history stats   [--json]
kefu history restore --session ID | --customer ID | --segment ID | --all
kefu history export  [--session ID | --customer ID] [--from TIME] [--to TIME] [--out FILE]
with the flags, variables and file of the server that say where PostgreSQL and the objects are: --postgres, --data-dir, --objects, --config
`;
const statementMs = 120_000;
const actions = ['verify', 'stats', 'restore', 'export'] as const;
type Action = (typeof actions)[number];
const own = new Map([
  ['--json', false],
  ['--all', false],
  ['--session', true],
  ['--customer', true],
  ['--segment', true],
  ['--from', true],
  ['--to', true],
  ['--out', true],
]);

interface Output {
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** A bar is drawn on a terminal only. */
  readonly isTerminal: boolean;
}

/** 0: done, and all is sound; 1: something is broken; 2: it could not be done. */
export async function historyCommand(args: readonly string[], out: Output): Promise<number> {
  try {
    const { action, flags, config } = readArguments(args);
    const database = await openHistoryDatabase(config);
    try {
      const tools = await openTools(config, database.address);
      try {
        return await run(action, flags, tools, out);
      } finally {
        await tools.close();
      }
    } finally {
      await database.close();
    }
  } catch (error) {
    const { message, cause } = error as Error;
    if (isGone(error) || isGone(cause)) {
      out.complain(
        'kefu: PostgreSQL was stopped meanwhile, by its node or by another history command: try again\n',
      );
      return 2;
    }
    const why = cause instanceof Error ? `${message} (${cause.message})` : message;
    out.complain(`kefu: ${why}\n`);
    return 2;
  }
}

/** The connection broke, or the server ended it. */
function isGone(error: unknown): boolean {
  const { code = '' } = (error ?? {}) as { code?: string };
  return /^(?:EPIPE|ECONNRESET|CONNECTION_(?:CLOSED|ENDED|DESTROYED)|57P0\d)$/.test(code);
}

function readArguments(args: readonly string[]): {
  action: Action;
  flags: Map<string, string>;
  config: Config;
} {
  const action = actions.find((name) => name === args[0]);
  if (action === undefined)
    throw new StartError(`history knows verify, stats, restore and export:\n${usage.trimEnd()}`);
  const flags = new Map<string, string>();
  const others: string[] = [];
  for (let index = 1; index < args.length; index += 1) {
    const takes = own.get(args[index]!);
    if (takes === undefined) others.push(args[index]!);
    else if (!takes) flags.set(args[index]!, '');
    else {
      const value = args[index + 1];
      if (value === undefined || value.startsWith('--'))
        throw new StartError(`${args[index]}: a value must follow`);
      flags.set(args[index]!, value);
      index += 1;
    }
  }
  for (const name of ['--session', '--customer', '--segment'])
    if (flags.has(name) && !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(flags.get(name)!))
      throw new StartError(`${name}: ${JSON.stringify(flags.get(name))} is no id: a UUID in lower case`);
  for (const name of ['--from', '--to'])
    if (flags.has(name) && Number.isNaN(Date.parse(flags.get(name)!)))
      throw new StartError(
        `${name}: ${JSON.stringify(flags.get(name))} is no time like 2026-01-31T12:00:00Z`,
      );
  const config = loadConfig(others, process.env);
  if (config === undefined) throw new StartError(usage.trimEnd());
  return { action, flags, config };
}

async function openTools(
  config: Config,
  database: DatabaseAddress,
): Promise<ArchiveTools & { close(): Promise<void> }> {
  const sql = openPool(database, 'history command', 2, statementMs);
  const reader = new Reader(sql, realClock, statementMs);
  const ignore = (): void => undefined;
  const store = await openObjectStore({
    location: config.objects,
    clock: realClock,
    chance: realChance,
    observer: { ended: ignore, moved: ignore, retried: ignore },
  });
  await reader.query((it) => it`select 1 from cold limit 1`);
  const dictionaries = new ArchiveDictionaries(reader);
  const cold = new ColdEvents({ reader, store, dictionaries, readsMax: 64 });
  const tools = new ArchiveTools({ sql, reader, store, dictionaries, cold });
  return Object.assign(tools, { close: () => sql.end({ timeout: 1 }) });
}

async function run(
  action: Action,
  flags: ReadonlyMap<string, string>,
  tools: ArchiveTools,
  out: Output,
): Promise<number> {
  const progress = bar(out);
  const selection = selectionOf(flags);
  if (action === 'verify') {
    const result = await tools.verify(progress.show);
    progress.end();
    if (flags.has('--json')) out.print(`${JSON.stringify(result, undefined, 2)}\n`);
    else {
      for (const problem of result.problems) out.print(`BROKEN ${problem}\n`);
      for (const segment of result.unread) out.print(`UNREAD ${segment}\n`);
      const unread = result.unread.length === 0 ? '' : `; ${result.unread.length} segments could not be read`;
      out.print(
        `${result.sessions} sessions in ${result.segments} segments are sound, ${result.problems.length} problems${unread}\n`,
      );
    }
    if (result.problems.length > 0) return 1;
    return result.unread.length > 0 ? 2 : 0;
  }
  if (action === 'stats') {
    const stats = await tools.stats();
    out.print(flags.has('--json') ? `${JSON.stringify(stats, undefined, 2)}\n` : statsText(stats));
    return 0;
  }
  if (action === 'restore') {
    if (selection === undefined && !flags.has('--all'))
      throw new StartError('restore what? --session ID, --customer ID, --segment ID or --all');
    const { sessions, events } = await tools.restore(selection, progress.show);
    progress.end();
    out.print(`${sessions} sessions with ${events} events are back in PostgreSQL\n`);
    return 0;
  }
  const file = flags.get('--out');
  const stream = file === undefined ? process.stdout : createWriteStream(file, { flags: 'wx' });
  let count = 0;
  for await (const line of tools.export(selection, progress.show)) {
    count += 1;
    if (!stream.write(`${line}\n`)) await new Promise<void>((resolve) => stream.once('drain', resolve));
  }
  progress.end();
  if (file !== undefined) await new Promise<void>((resolve) => stream.end(() => resolve()));
  out.complain(`${count} sessions\n`);
  return 0;
}

function selectionOf(flags: ReadonlyMap<string, string>): Selection | undefined {
  const [from, to] = [flags.get('--from'), flags.get('--to')];
  const given = {
    session: flags.get('--session'),
    customer: flags.get('--customer'),
    segment: flags.get('--segment'),
    fromMs: from === undefined ? undefined : Date.parse(from),
    toMs: to === undefined ? undefined : Date.parse(to),
  };
  const some = Object.entries(given).filter(([, value]) => value !== undefined);
  return some.length === 0 ? undefined : Object.fromEntries(some);
}

function statsText(stats: Awaited<ReturnType<ArchiveTools['stats']>>): string {
  const lines = Object.entries(stats).map(([name, value]) => `${name.padEnd(24)}${value ?? '–'}`);
  return `${lines.join('\n')}\n`;
}

/** One line that is drawn again and again. */
function bar({ complain, isTerminal }: Output): {
  show: (done: number, all: number) => void;
  end: () => void;
} {
  const width = 30;
  let isDrawn = false;
  return {
    show(done, all) {
      if (!isTerminal || all === 0) return;
      const full = Math.round((done / all) * width);
      complain(`\r[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${done} of ${all}`);
      isDrawn = true;
    },
    end() {
      if (isDrawn) complain('\n');
    },
  };
}
