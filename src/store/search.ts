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

/** Sessions that are looked through one by one before the words' own index is asked. */
const newestMax = 2_000;
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * Sessions by their words, newest first. What is common fills a page from the newest sessions alone; what does not is so rare
 * that all of a week's can be had by the index of words: week by week from there, ever more at a time, until the page is
 * full. Left to the planner, a rare word was looked for by reading every session of a week in order.
 */
export class Search {
  readonly #reader: Reader;
  readonly #clock: Clock;

  constructor(reader: Reader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  async find(filter: SearchFilter): Promise<Found> {
    const { limit, before, fromMs, toMs } = filter;
    const conditions = conditionsOf(filter);
    const startMs = this.#clock.nowMs();
    const [oldest] = await this.#ids(`select session from search order by session limit 1`);
    if (oldest === undefined) return { sessions: [], cutAt: undefined };
    const bottom = fromMs === undefined ? oldest : floorId(fromMs);
    const top = toMs === undefined ? lastId : floorId(toMs);
    let under = before !== undefined && before < top ? before : top;
    const range = (low: string): string => `session >= '${low}' and session < '${under}'`;
    const order = 'order by session desc';
    const [edge] = await this.#ids(
      `select session from search where ${range(bottom)} ${order} offset ${newestMax} limit 1`,
    );
    const sessions = await this.#ids(
      `select session from search where ${range(edge ?? bottom)} and ${conditions} ${order} limit ${limit}`,
    );
    if (edge === undefined) return { sessions, cutAt: undefined };
    under = edge;
    for (let weeks = 1; sessions.length < limit && under > bottom; weeks *= 2) {
      if (this.#clock.nowMs() - startMs > searchMs) return { sessions, cutAt: under };
      const from = floorId(weekOf(timeOf(under) - 1 - (weeks - 1) * weekMs));
      const low = from > bottom ? from : bottom;
      const found = await this.#ids(
        `with found as materialized (select session from search where ${range(low)} and ${conditions})
         select session from found ${order} limit ${limit - sessions.length}`,
      );
      sessions.push(...found);
      under = low;
    }
    return { sessions, cutAt: undefined };
  }

  /** Bounds stand in the text, so that the planner leaves out the other weeks and knows how common the words are. */
  async #ids(text: string): Promise<string[]> {
    const rows = await this.#reader.query((sql) => sql.unsafe<{ session: string }[]>(text));
    return rows.map((row) => row.session);
  }
}

function conditionsOf(filter: SearchFilter): string {
  const words = wordsQuery(filter.q);
  const filters = filterQuery(filter);
  const all = [
    ...(words === '' ? [] : [`words @@ ${quoted(words)}::tsquery`]),
    ...(filters === '' ? [] : [`filters @@ ${quoted(filters)}::tsquery`]),
  ];
  return all.length === 0 ? 'true' : all.join(' and ');
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
