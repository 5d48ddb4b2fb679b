import { evolve, type SessionEvent, type SessionState } from '../../src/rules/session.ts';
import type { ProcessId, Term } from '../../src/cluster/ports.ts';
import type { ThreadId } from '../../src/actors/engine/types.ts';
import type { Added, SimDatabase } from './sim-database.ts';
import type { Trace } from './trace.ts';

/** How a request ended. `unknown`: it was not answered, and may have happened. */
export type Ending = 'pending' | 'ok' | 'refused' | 'unknown';

export interface Attempt {
  readonly token: string;
  readonly startMs: number;
  ending: Ending;
}

interface Committed {
  readonly session: string;
  readonly seq: number;
  readonly atMs: number;
}

/** What was promised to clients and what is in the tables: looked at with every commit, every answer and at the end. */
export class Ledger {
  readonly failures: string[] = [];
  readonly states = new Map<string, SessionState>();
  /** By token: a message's id, a note's text, a close's reason, an opening's subject. */
  readonly #tokens = new Map<string, Committed>();
  readonly #attempts = new Map<string, Attempt[]>();
  /** Message tokens: the seq that was acknowledged. */
  readonly #acked = new Map<string, number>();
  /** By session: the newest event that anybody was told of. */
  readonly #floors = new Map<string, number>();
  readonly #owners = new Map<string, ThreadId>();
  readonly #database: SimDatabase;
  readonly #trace: Trace;
  readonly #nowMs: () => number;
  readonly #capacity: number;
  acks = 0;
  reads = 0;

  constructor(database: SimDatabase, trace: Trace, nowMs: () => number, capacity: number) {
    this.#database = database;
    this.#trace = trace;
    this.#nowMs = nowMs;
    this.#capacity = capacity;
    database.committed = (added) => this.#committed(added);
  }

  fail(what: string): void {
    this.#trace.add('CHECK', what);
    if (this.failures.length < 10) this.failures.push(`at ${this.#nowMs().toFixed(1)} ms: ${what}`);
  }

  // ---- owners

  /** A thread says that it has taken a shard: nobody else may have it in that term. */
  opened(thread: ThreadId, { shard, epoch }: Term): void {
    const key = `${shard}.${epoch}`;
    const other = this.#owners.get(key);
    if (other !== undefined && other !== thread)
      this.fail(`shard ${shard} was opened in term ${epoch} by ${other} and by ${thread}`);
    this.#owners.set(key, thread);
  }

  // ---- commits

  #committed(added: readonly Added[]): void {
    for (const event of added) {
      const row = this.#database.shards[event.shard]!;
      const process: ProcessId = event.writer.split('/')[0]!;
      if (row.epoch !== event.epoch || row.owner !== process)
        this.fail(
          `${process} committed to shard ${event.shard} in term ${event.epoch}, which is ${row.owner}'s in term ${row.epoch}`,
        );
      this.#apply(event);
    }
    this.#trace.add(
      'database',
      `+${added.map(({ session, seq }) => `${session.slice(-4)}:${seq}`).join(' ')}`,
    );
  }

  #apply({ session, seq, data }: Added): void {
    const { type, id, at, from, ...rest } = JSON.parse(data) as {
      type: string;
      id: string;
      at: string;
      from: { kind: string; id: string };
    };
    const before = this.states.get(session);
    if (seq !== (before?.lastSeq ?? 0) + 1)
      return this.fail(`${session}: ${seq} follows ${before?.lastSeq ?? 0}`);
    const event = { ...rest, type, seq, at: Date.parse(at), from } as unknown as SessionEvent;
    this.#lawful(session, before, event, id);
    const after = evolve(before, event, session);
    this.states.set(session, after);
    if (event.type === 'assigned') this.#room(event.agent.id);
    if (event.type === 'opened') this.#oneOpen(event.customer.id);
    const token = tokenOf(event, id);
    if (token === undefined) return;
    if (this.#tokens.has(token)) this.fail(`${session}: ${token} is there twice, again as ${seq}`);
    this.#tokens.set(token, { session, seq, atMs: this.#nowMs() });
  }

  #lawful(session: string, before: SessionState | undefined, event: SessionEvent, id: string): void {
    const state = before?.state;
    const where = `${session}:${event.seq}`;
    if (event.type === 'opened' ? before !== undefined : before === undefined)
      this.fail(`${where} of type ${event.type} in the wrong place`);
    if (event.type === 'assigned' && state !== 'waiting' && state !== 'transferring')
      this.fail(`${where} assigned to ${event.agent.id} while ${state} with ${before?.agent?.id}`);
    if (event.type === 'transferring' && state !== 'chatting')
      this.fail(`${where} transferred while ${state}`);
    if ((event.type === 'message' || event.type === 'closed') && state === 'closed')
      this.fail(`${where} (${id}) after it was closed`);
    if (event.type === 'message' && event.from.kind === 'agent' && before?.agent?.id !== event.from.id)
      this.fail(`${where} said by an agent that does not hold it`);
  }

  #room(agent: string): void {
    let held = 0;
    for (const state of this.states.values())
      if (state.state === 'chatting' && state.agent?.id === agent) held += 1;
    if (held > this.#capacity) this.fail(`agent ${agent} holds ${held} sessions`);
  }

  #oneOpen(customer: string): void {
    let open = 0;
    for (const state of this.states.values())
      if (state.state !== 'closed' && state.customer.id === customer) open += 1;
    if (open > 1) this.fail(`customer ${customer} has ${open} open sessions`);
  }

  // ---- answers

  begin(token: string): Attempt {
    const attempt: Attempt = { token, startMs: this.#nowMs(), ending: 'pending' };
    const all = this.#attempts.get(token);
    if (all === undefined) this.#attempts.set(token, [attempt]);
    else all.push(attempt);
    return attempt;
  }

  /** A client was told that its message is there. */
  acked(session: string, token: string, seq: number): void {
    this.acks += 1;
    const before = this.#acked.get(token);
    if (before !== undefined && before !== seq) this.fail(`${token} was acked as ${before} and as ${seq}`);
    this.#acked.set(token, seq);
    const there = this.#tokens.get(token);
    if (there?.session !== session || there.seq !== seq)
      this.fail(`${token} was acked as ${session}:${seq}, and is ${there?.session}:${there?.seq}`);
    this.told(session, seq);
  }

  /** Somebody was told of an event: whoever asks from now on must see it. */
  told(session: string, seq: number): void {
    const last = this.#database.events.get(session)?.at(-1)?.seq ?? 0;
    if (seq > last) this.fail(`${session}:${seq} was told and is not committed`);
    this.#floors.set(session, Math.max(seq, this.#floors.get(session) ?? 0));
  }

  floor(session: string): number {
    return this.#floors.get(session) ?? 0;
  }

  /** A history was read, which was asked for when `floor` was the newest that anybody knew of. */
  read(session: string, floor: number, events: readonly { seq: number; json: string }[]): void {
    this.reads += 1;
    const stored = this.#database.events.get(session) ?? [];
    if (events.length < floor)
      this.fail(`${session} was read up to ${events.length} after somebody was told of ${floor}`);
    for (const [index, { seq, json }] of events.entries())
      if (seq !== index + 1 || stored[index]?.data !== json)
        return this.fail(`${session}: what was read as ${seq} is not what is stored as ${index + 1}`);
    if (events.length > 0) this.told(session, events.length);
  }

  // ---- the end

  /** What was refused, each time that it was asked for, never happened. */
  finish(): void {
    for (const [token, { session, seq, atMs }] of this.#tokens) {
      const attempts = this.#attempts.get(token) ?? [];
      if (!attempts.some((it) => it.ending !== 'refused' && it.startMs <= atMs))
        this.fail(`${token} is ${session}:${seq}, though it was refused each time`);
    }
    for (const [token, seq] of this.#acked)
      if (this.#tokens.get(token)?.seq !== seq) this.fail(`${token}, acked as ${seq}, is not there`);
  }
}

function tokenOf(event: SessionEvent, id: string): string | undefined {
  switch (event.type) {
    case 'message':
      return id;
    case 'note':
      return event.text;
    case 'closed':
      return event.reason;
    case 'opened':
      return event.subject ?? undefined;
    default:
      return undefined;
  }
}
