import { makePartitions } from '../../src/store/migrate.ts';
import type { TestPostgres } from '../../test/support/postgres.ts';
import type { Plan } from './index.ts';
import { talkSessions, type TalkSession } from './talk-data.ts';

export interface Talk {
  /** Ids with how many events each has. */
  readonly sessions: readonly { readonly id: string; readonly events: number }[];
  readonly events: number;
  readonly messages: number;
}

/** Sessions a statement. */
const batch = 200;
/** A shop’s last weeks. */
const ageMs = 40 * 24 * 3_600_000;

/** Closed sessions with all of their events, as if they had been talked through here. */
export async function loadTalk(
  { sql }: TestPostgres,
  plan: Plan,
  progress: (text: string) => void,
): Promise<Talk> {
  const startMs = Date.now() - ageMs;
  for (let at = startMs; at < Date.now(); at += 14 * 24 * 3_600_000) await makePartitions(sql, at, 1);
  const sessions: { id: string; events: number }[] = [];
  let events = 0;
  let messages = 0;
  let pending: TalkSession[] = [];
  const flush = async (): Promise<void> => {
    await insert(sql, pending);
    pending = [];
  };
  for (const session of talkSessions({ seed: plan.seed, sessions: 1e9, startMs })) {
    if (messages >= plan.messages) break;
    sessions.push({ id: session.session, events: session.events.length });
    events += session.events.length;
    messages += session.events.filter(({ json }) => json.includes('"type":"message"')).length;
    pending.push(session);
    if (pending.length < batch) continue;
    await flush();
    if (sessions.length % 20_000 === 0) progress(`${messages} messages`);
  }
  if (pending.length > 0) await flush();
  await sql.unsafe('vacuum analyze');
  return { sessions, events, messages };
}

async function insert(sql: TestPostgres['sql'], sessions: readonly TalkSession[]): Promise<void> {
  const rows = sessions.map((one) => ({
    id: one.session,
    customer: one.customer.id,
    customer_name: one.customer.name,
    agent: one.agent.id,
    agent_name: one.agent.name,
    group_name: one.group,
    opened_at: one.openedAtMs,
    closed_at: one.closedAtMs,
  }));
  await sql`
    insert into sessions (id, state, customer, customer_name, agent, agent_name, group_name, channel, subject, attributes,
      priority, target, last_agent, waiting_since, opened_at, closed_at, rated)
    select id, 'closed', customer, customer_name, agent, agent_name, group_name, 'web', null, '{}', 0, null, agent, 0,
      opened_at, closed_at, false
    from json_to_recordset(${JSON.stringify(rows)}::text::json) r (id uuid, customer uuid, customer_name text, agent uuid,
      agent_name text, group_name text, opened_at bigint, closed_at bigint)`;
  const events = sessions.flatMap((one) => one.events.map((event) => ({ ...event, session: one.session })));
  await sql.unsafe(
    `insert into events (session, seq, data) select e.session, e.seq, e.data::json
     from unnest($1::text::uuid[], $2::text::int[], string_to_array($3, E'\\x01')) e (session, seq, data)`,
    [
      `{${events.map((event) => event.session).join(',')}}`,
      `{${events.map((event) => event.seq).join(',')}}`,
      events.map((event) => event.json).join('\u0001'),
    ],
  );
}
