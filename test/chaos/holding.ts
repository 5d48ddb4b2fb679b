import type { Frame } from '../support/client.ts';

interface Change {
  readonly atMs: number;
  readonly agent: string;
  readonly by: 1 | -1;
  readonly session: string;
}

/**
 * Promise 4, and one open session a customer, read from the events: whose a session was from when to when. All nodes
 * of a test have one calendar, and who takes a session does so after it was told that the last one is gone. Logs that were
 * read one after the other, from `endMs` on, do not tell the same about what came later.
 */
export function holdingFaults(
  logs: readonly (readonly Frame[])[],
  capacity: number,
  endMs: number,
): string[] {
  const faults: string[] = [];
  const changes: Change[] = [];
  const customers: Change[] = [];
  for (const log of logs) {
    let holder: string | undefined;
    for (const event of log) {
      const session = event.session as string;
      const atMs = Date.parse(event.at as string);
      const leave = (): void => {
        if (holder !== undefined) changes.push({ atMs, agent: holder, by: -1, session });
        holder = undefined;
      };
      if (event.type === 'opened') customers.push({ atMs, agent: event.customer.id, by: 1, session });
      if (event.type === 'assigned') {
        if (holder !== undefined)
          faults.push(`${session}: ${event.agent.id} has it at ${event.seq}, and so has ${holder}`);
        leave();
        holder = event.agent.id as string;
        changes.push({ atMs, agent: holder, by: 1, session });
      }
      if (event.type === 'transferring' || event.type === 'closed') leave();
      if (event.type === 'closed') customers.push({ atMs, agent: log[0]!.customer.id, by: -1, session });
      if (event.type === 'message' && event.from.kind === 'agent' && event.from.id !== holder)
        faults.push(`${session}: ${event.from.id} says ${event.seq}, and ${holder} has it`);
    }
  }
  const early = (all: Change[]): Change[] => all.filter(({ atMs }) => atMs < endMs);
  return [
    ...faults,
    ...tooMany(early(changes), capacity, 'agent'),
    ...tooMany(early(customers), 1, 'customer'),
  ];
}

function tooMany(changes: Change[], max: number, who: string): string[] {
  const faults: string[] = [];
  const held = new Map<string, Set<string>>();
  changes.sort((a, b) => a.atMs - b.atMs);
  for (const [at, { agent, by, session, atMs }] of changes.entries()) {
    const sessions = held.get(agent) ?? new Set();
    held.set(agent, sessions);
    if (by === -1) sessions.delete(session);
    else sessions.add(session);
    // What comes and goes within one instant has no order here.
    if (changes[at + 1]?.atMs === atMs) continue;
    for (const [name, { size }] of held)
      if (size > max) faults.push(`${who} ${name} has ${size} at ${new Date(atMs).toISOString()}`);
  }
  return faults;
}
