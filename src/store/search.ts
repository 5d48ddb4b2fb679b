import { queryWords } from '../core/search-words.ts';
import type { Clock } from '../core/clock.ts';
import type { Reader } from './database.ts';

export interface SearchFilter {
  readonly q: string;
  readonly state?: string;
  readonly agent?: string;
  readonly group?: string;
  readonly tag?: string;
  /** Opened within these, milliseconds since 1970. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Only sessions of these groups, or that this agent has or had. */
  readonly visibleTo?: { readonly agent: string; readonly groups: readonly string[] };
  /** Only those older than this id. */
  readonly before?: string;
  readonly limit: number;
}

export interface Found {
  /** Newest first. */
  readonly sessions: readonly string[];
  /** It took too long: there may be more that are older than this id. */
  readonly cutAt: string | undefined;
}

const weekMs = 7 * 24 * 3_600_000;
/** A search is given up after so long, and says how far it came. */
const searchMs = 3_000;

/**
 * Sessions by their words, newest first: week by week from the newest, ever more weeks at a time while little is found,
 * until the page is full. Each look is bounded by the partitions of its weeks.
 */
export class Search {
  readonly #reader: Reader;
  readonly #clock: Clock;

  constructor(reader: Reader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  async find(filter: SearchFilter): Promise<Found> {
    const query = wordsQuery(filter.q);
    const filters = filterQuery(filter);
    const [oldest] = await this.#reader.query(
      (sql) => sql<{ id: string }[]>`select session as id from search order by session limit 1`,
    );
    if (oldest === undefined) return { sessions: [], cutAt: undefined };
    const bottomMs = Math.max(timeOf(oldest.id), filter.fromMs ?? 0);
    const topMs = Math.min(
      filter.toMs ?? Infinity,
      filter.before === undefined ? Infinity : timeOf(filter.before) + 1,
    );
    const startMs = this.#clock.nowMs();
    const sessions: string[] = [];
    let high = Number.isFinite(topMs) ? topMs : timeOf('ffffffff-ffff-7fff-bfff-ffffffffffff');
    // The first look begins at the newest week there is.
    let low = weekOf(Math.min(high, this.#clock.wallMs() + weekMs));
    for (let weeks = 1; high > bottomMs; weeks *= 2) {
      sessions.push(...(await this.#look(query, filters, low, high, filter, filter.limit - sessions.length)));
      if (sessions.length >= filter.limit) break;
      high = low;
      low = weekOf(low - weeks * weekMs);
      if (this.#clock.nowMs() - startMs > searchMs && high > bottomMs)
        return { sessions, cutAt: floorId(high) };
    }
    return { sessions, cutAt: undefined };
  }

  async #look(
    words: string,
    filters: string,
    fromMs: number,
    toMs: number,
    { before, fromMs: notBefore }: SearchFilter,
    limit: number,
  ): Promise<string[]> {
    const low = floorId(Math.max(fromMs, notBefore ?? 0));
    const high = floorId(toMs);
    const under = before !== undefined && before < high ? before : high;
    // Bounds in the text: so the planner leaves out the other weeks, and knows how common the words are.
    const rows = await this.#reader.query((sql) =>
      sql.unsafe<{ session: string }[]>(
        `select session from search where session >= '${low}' and session < '${under}'
         ${words === '' ? '' : `and words @@ ${quoted(words)}::tsquery`}
         ${filters === '' ? '' : `and filters @@ ${quoted(filters)}::tsquery`}
         order by session desc limit ${limit}`,
      ),
    );
    return rows.map((row) => row.session);
  }
}

function filterQuery({ state, agent, group, tag, visibleTo }: SearchFilter): string {
  const all: string[] = [];
  if (state !== undefined) all.push(lexeme(`=state:${state}`));
  if (agent !== undefined) all.push(lexeme(`=agent:${agent}`));
  if (group !== undefined) all.push(lexeme(`=group:${group}`));
  if (tag !== undefined) all.push(lexeme(`=tag:${tag}`));
  if (visibleTo !== undefined) {
    const any = [`=agent:${visibleTo.agent}`, ...visibleTo.groups.map((name) => `=group:${name}`)];
    all.push(`(${any.map(lexeme).join(' | ')})`);
  }
  return all.join(' & ');
}

/** A tsquery for all the words of a text; empty where it has none. */
export function wordsQuery(q: string): string {
  return queryWords(q).map(lexeme).join(' & ');
}

/** A word as tsquery's text has it. */
function lexeme(word: string): string {
  return `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** A text as SQL has it, whatever the server's settings are. */
function quoted(text: string): string {
  return ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function weekOf(ms: number): number {
  return Math.floor(ms / weekMs) * weekMs;
}

function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

function floorId(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
