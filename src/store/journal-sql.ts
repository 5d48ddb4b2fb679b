import type { AppendRequest } from '../actors/ports.ts';
import type { SessionState } from '../rules/session.ts';

/**
 * The journal's one statement, which is its transaction: it holds the fences, adds the events, writes the sessions
 * index, and answers which fences held. One round trip for hundreds of rows. Arrays travel as one text each, joined
 * here and split there: the driver's own array encoding costs more than all the rest of a message.
 */

/** An append on its way, with the epoch its shard had when it was made. */
export interface Item {
  readonly request: AppendRequest;
  readonly shard: number;
  readonly epoch: number;
  readonly addedMs: number;
  readonly bytes: number;
  /**
   * Each event's place in the change feed of its shard; absent where there is no feed. Given anew at each attempt, just
   * before its statement, so that the order of a shard's positions is the order of its commits.
   */
  positions?: readonly number[] | undefined;
}

/** Never part of JSON text, where control characters are escaped. */
const separator = '\u0001';

const held = `
  held as materialized (
    select f.place, s.id as shard from shards s
    join unnest($1::text::int[], $2::text::int[], $3::text::bool[]) with ordinality f (id, epoch, own, place)
      on f.id = s.id and f.epoch = s.epoch and (not f.own or s.writer = $4)
    order by s.id for share of s
  )`;

/** Messages only: a fence that did not hold leaves out its shard's events. */
const messagesSql = `
with ${held}, added as (
  insert into events (session, seq, data)
  select e.session, e.seq, e.data::json
  from unnest($5::text::uuid[], $6::text::int[], $7::text::int[], string_to_array($8, E'\\x01')) e (session, seq, fence, data)
  join held on held.place = e.fence
)
select coalesce(string_agg(place::text, ','), '') as held from held`;

/** The same, and each event is noted for the feed under its shard, which is that of the fence it depends on. */
const messagesFedSql = `
with ${held}, given as materialized (
  select e.*, held.shard
  from unnest($5::text::uuid[], $6::text::int[], $7::text::int[], string_to_array($8, E'\\x01'), $9::text::bigint[])
    e (session, seq, fence, data, position)
  join held on held.place = e.fence
), added as (
  insert into events (session, seq, data) select session, seq, data::json from given
), fed as (
  insert into feed (shard, position, session, seq)
  select shard, position, session, seq from given where position > 0
)
select coalesce(string_agg(place::text, ','), '') as held from held`;

/** With changes of state: a session that misses any of its fences is left out as a whole. */
function changesText(feed: boolean): string {
  const position = feed ? ', position' : '';
  const positions = feed ? ', $11::text::bigint[]' : '';
  const fed = `, fed as (
  insert into feed (shard, position, session, seq)
  select held.shard, g.position, g.session, g.seq from given g join held on held.place = g.fence
  where g.position > 0 and g.session not in (select session from bad)
)`;
  return `
with ${held}, given as materialized (
  select * from unnest($5::text::uuid[], $6::text::int[], $7::text::int[], $9::text::int[], string_to_array($8, E'\\x01')${positions})
    e (session, seq, fence, extra, data${position})
), bad as materialized (
  select distinct session from given
  where fence not in (select place from held) or (extra > 0 and extra not in (select place from held))
), added as (
  insert into events (session, seq, data)
  select session, seq, data::json from given where session not in (select session from bad)
), indexed as (
  insert into sessions
  select s.* from json_to_recordset($10::text::json) s (id uuid, state text, customer uuid, customer_name text,
    agent uuid, agent_name text, group_name text, channel text, subject text, attributes json, priority int,
    target uuid, last_agent uuid, waiting_since bigint, opened_at bigint, closed_at bigint, rated boolean, previous uuid)
  where s.id not in (select session from bad)
  on conflict (id) do update set state = excluded.state, agent = excluded.agent, agent_name = excluded.agent_name,
    group_name = excluded.group_name, priority = excluded.priority, target = excluded.target,
    last_agent = excluded.last_agent, waiting_since = excluded.waiting_since, closed_at = excluded.closed_at,
    rated = excluded.rated, cold = false
)${feed ? fed : ''}
select coalesce((select string_agg(place::text, ',') from held), '') as held,
  coalesce((select string_agg(session::text, ',') from bad), '') as bad`;
}

const changesSql = changesText(false);
const changesFedSql = changesText(true);

export interface Statement {
  readonly text: string;
  readonly params: string[];
  /** What the answer says: the sessions of the batch whose events are not in. */
  refused(row: { held: string; bad?: string }): Set<string>;
}

/** `feed`: the events that go in are also noted as not yet published, at their items' `positions`. */
export function statementFor(items: readonly Item[], writer: string, feed = false): Statement {
  const fences = new Fences();
  const sessions: string[] = [];
  const seqs: number[] = [];
  const own: number[] = [];
  const extra: number[] = [];
  const data: string[] = [];
  const positions: number[] = [];
  const states = new Map<string, SessionState>();
  let changes = false;
  for (const { request, shard, epoch, positions: places } of items) {
    const place = fences.place(shard, epoch, true);
    const extraPlace =
      request.fence === undefined ? 0 : fences.place(request.fence.shard, request.fence.epoch, false);
    if (request.state !== undefined) states.set(request.session, request.state);
    if (request.state !== undefined || extraPlace > 0) changes = true;
    if (feed) for (const index of request.events.keys()) positions.push(places?.[index] ?? 0);
    for (const event of request.events) {
      sessions.push(request.session);
      seqs.push(event.seq);
      own.push(place);
      extra.push(extraPlace);
      data.push(event.json);
    }
  }
  const params = [
    array(fences.shards),
    array(fences.epochs),
    array(fences.owns),
    writer,
    array(sessions),
    array(seqs),
    array(own),
    data.join(separator),
  ];
  if (!changes) {
    const refused = (row: { held: string }): Set<string> => {
      const here = listed(row.held);
      const all = new Set<string>();
      if (here.size === fences.shards.length) return all;
      for (const [index, place] of own.entries()) if (!here.has(String(place))) all.add(sessions[index]!);
      return all;
    };
    if (feed) params.push(array(positions));
    return { text: feed ? messagesFedSql : messagesSql, params, refused };
  }
  params.push(array(extra), withoutNul(JSON.stringify([...states.values()].map(sessionRow))));
  if (feed) params.push(array(positions));
  const refused = (row: { bad?: string }): Set<string> => listed(row.bad!);
  return { text: feed ? changesFedSql : changesSql, params, refused };
}

/** What string_agg made; of nothing it makes an empty text, which is not a list of one. */
function listed(text: string): Set<string> {
  return new Set(text === '' ? [] : text.split(','));
}

/** The distinct fences of a batch, numbered from 1. */
class Fences {
  readonly shards: number[] = [];
  readonly epochs: number[] = [];
  readonly owns: string[] = [];
  readonly #places = new Map<string | number, number>();

  place(shard: number, epoch: number, own: boolean): number {
    // One owner has one epoch of its own shard in nearly every batch: a number is the cheaper key.
    const key = own ? shard * 2 ** 32 + epoch : `${shard}:${epoch}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.shards.push(shard);
    this.epochs.push(epoch);
    this.owns.push(own ? 't' : 'f');
    this.#places.set(key, this.shards.length);
    return this.shards.length;
  }
}

function array(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}

/** NUL is a character of JSON, but PostgreSQL takes none in text. Requests with one are refused; this is the last line. */
function withoutNul(json: string): string {
  return json.includes('\\u0000') ? json.replace(/(?<!\\)((?:\\\\)*)\\u0000/g, '$1') : json;
}

function sessionRow(state: SessionState): object {
  return {
    id: state.id,
    state: state.state,
    customer: state.customer.id,
    customer_name: state.customer.name,
    agent: state.agent?.id ?? null,
    agent_name: state.agent?.name ?? null,
    group_name: state.group,
    channel: state.channel,
    subject: state.subject,
    attributes: state.attributes,
    priority: state.priority,
    target: state.target,
    last_agent: state.lastAgent,
    waiting_since: state.waitingSince,
    opened_at: state.openedAt,
    closed_at: state.closedAt,
    rated: state.rated,
    previous: state.previous,
  };
}
