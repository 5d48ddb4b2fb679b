import { until } from '../../scripts/processes.ts';
import { http } from '../support/client.ts';
import type { Agent } from './people.ts';
import type { Person } from './person.ts';
import { capacity, type Stage } from './stage.ts';

/** What must become so when the faults are over. Each rejects with what is not so, if that does not come to be in time. */

/** Metrics that are 0 when nobody is there. */
const quiet =
  /^kefu_(connections|mailbox_depth|journal_queue_events|cluster_held|actor_crashes_total|feed_waiting_events)[ {]/;

/** `wrong` tells what is not as it should be; undefined: all is. */
async function untilRight(
  what: string,
  deadlineMs: number,
  wrong: () => string | undefined | Promise<string | undefined>,
): Promise<void> {
  let last: string | undefined;
  const isRight = async (): Promise<boolean> => (last = await wrong()) === undefined;
  await until(what, isRight, deadlineMs).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`);
  });
}

/** By what agents were told: each session has one, and none has more than it may. */
export function noneInTwoHands(agents: readonly Agent[]): Promise<void> {
  // What was lost on its way to an agent is told again within 20 s.
  return untilRight('no session is in two hands', 40_000, () => {
    const holders = new Map<string, string>();
    for (const { name, held } of agents) {
      if (held.size > capacity) return `${name} was told of ${held.size} sessions`;
      for (const session of held) {
        const other = holders.get(session);
        if (other !== undefined) return `${session} is with ${other} and with ${name}`;
        holders.set(session, name);
      }
    }
    return undefined;
  });
}

/** Whoever listens has heard of all that is in the logs that it follows. */
export function allHeard(stage: Stage, people: readonly Person[]): Promise<void> {
  return untilRight('everybody has heard everything', 30_000, async () => {
    for (const person of people) {
      const client = await person.connected();
      if (client === undefined) continue;
      for (const session of person.following()) {
        const path = `/v1/sessions/${session}`;
        const { body } = await http(stage.upNodes[0]!, 'GET', path, { token: stage.admin });
        const heard = client.lastSeq[session] ?? 0;
        if (heard < body.last_seq)
          return `${person.name} heard ${heard} of ${body.last_seq} events of ${session}`;
      }
    }
    return undefined;
  });
}

/** Every agent was told of what it has, and of nothing else. */
export function allHeld(stage: Stage, agents: readonly Agent[]): Promise<void> {
  return untilRight('every agent was told what it has', 60_000, async () => {
    for (const agent of agents) {
      await agent.connected();
      const has = (await allSessions(stage, `&state=chatting&agent=${agent.id}`)).sort().join();
      const told = [...agent.held].sort().join();
      if (told !== has) return `${agent.name} was told of ${told} and has ${has}`;
    }
    return undefined;
  });
}

/** With nobody there, nothing waits anywhere; and nothing ever crashed. */
export function allQuiet(stage: Stage): Promise<void> {
  return untilRight('nothing waits anywhere', 60_000, async () => {
    const said = await Promise.all(stage.upNodes.map((node) => http(node, 'GET', '/metrics')));
    const lines = said.flatMap(({ body }) => String(body).split('\n'));
    const loud = lines.filter((line) => quiet.test(line) && !line.endsWith(' 0'));
    if (!said.every(({ status }) => status === 200)) return 'a node does not tell its metrics';
    return loud.length === 0 ? undefined : loud.join();
  });
}

/** All that the database has, also those of which nobody was told. */
export async function allSessions(stage: Stage, which = ''): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const path: string = `/v1/sessions?limit=100${which}${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const { body } = await http(stage.upNodes[0]!, 'GET', path, { token: stage.admin });
    for (const { id } of body.data as { id: string }[]) found.push(id);
    cursor = body.next as string | null;
  }
  return found;
}
