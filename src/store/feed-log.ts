import type { Reader } from './database.ts';
import type { Item } from './journal-sql.ts';

/** Where a shard's feed stands. */
export interface FeedHead {
  readonly shard: number;
  /** Everything up to here is published. */
  readonly cursor: number;
  /** The last position that was ever used: the next event's must be above it. At least `cursor`. */
  readonly head: number;
}

/** An event that is not published yet. */
export interface FeedRow {
  readonly position: number;
  readonly session: string;
  readonly seq: number;
  /** The event's stored text; undefined when the event is not in the database any more. */
  readonly json: string | undefined;
}

/**
 * The outbox of the change feed. The journal writes it in the events' own transaction; here it is read, and what has
 * been published is taken out. All reject with `unavailable` when the database does not answer in time.
 */
export class FeedLog {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * Call it only after these shards' epochs were taken, and not in the same statement: then no older owner can add to
   * them any more, and this sees all that was added.
   */
  async heads(shards: readonly number[]): Promise<FeedHead[]> {
    const wanted = `{${shards.join(',')}}`;
    const rows = await this.#reader.query(
      (sql) => sql<{ shard: number; cursor: string; head: string }[]>`
        select c.shard, c.position as cursor, greatest(c.position, coalesce(
          (select f.position from feed f where f.shard = c.shard order by f.position desc limit 1), 0)) as head
        from feed_cursors c where c.shard = any(${wanted}::text::int[]) order by c.shard`,
    );
    return rows.map(({ shard, cursor, head }) => ({ shard, cursor: Number(cursor), head: Number(head) }));
  }

  /** At most `limit` events of a shard with positions above `after`, in their order. */
  async pending(shard: number, after: number, limit: number): Promise<FeedRow[]> {
    const rows = await this.#reader.query(
      (sql) => sql<{ position: string; session: string; seq: number; data: string | null }[]>`
        select f.position, f.session, f.seq, e.data::text as data
        from (select * from feed where shard = ${shard} and position > ${after} order by position limit ${limit}) f
        left join events e on e.session = f.session and e.seq = f.seq
        order by f.position`,
    );
    return rows.map(({ position, session, seq, data }) => ({
      position: Number(position),
      session,
      seq,
      json: data ?? undefined,
    }));
  }

  /**
   * Everything up to these positions is published: the cursors move there, never back, and the rows go. It asks for no
   * epoch. Only what JetStream acknowledged is told here, so an owner that has lost its shard meanwhile tells the
   * truth too, and all it could move over was published before.
   */
  async advance(cursors: readonly { readonly shard: number; readonly position: number }[]): Promise<void> {
    if (cursors.length === 0) return;
    const shards = `{${cursors.map(({ shard }) => shard).join(',')}}`;
    const positions = `{${cursors.map(({ position }) => position).join(',')}}`;
    // The cursors' rows are locked in one order, for an old owner and a new one may do this at the same time.
    await this.#reader.query(
      (sql) => sql`
        with given as materialized (
          select * from unnest(${shards}::text::int[], ${positions}::text::bigint[]) g (shard, position)
        ), locked as materialized (
          select c.shard, g.position from feed_cursors c join given g on g.shard = c.shard
          order by c.shard for update of c
        ), moved as (
          update feed_cursors c set position = l.position from locked l
          where c.shard = l.shard and c.position < l.position
        )
        delete from feed f using locked l where f.shard = l.shard and f.position <= l.position`,
    );
  }
}

/** A committed event, as the feed takes it. */
interface Committed {
  readonly shard: number;
  readonly position: number;
  readonly session: string;
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  readonly json: string;
}

/** The events of committed items in their order. */
export function committedEvents(items: readonly Item[]): Committed[] {
  const events: Committed[] = [];
  for (const { request, shard, positions } of items)
    for (const [index, { seq, type, at, json }] of request.events.entries()) {
      const position = positions?.[index];
      if (position !== undefined)
        events.push({ shard, position, session: request.session, seq, type, at, json });
    }
  return events;
}
