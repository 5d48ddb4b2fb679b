/** The queue's order and the choice of an agent. Pure; ids decide where all else is equal, so that every node chooses alike. */

export interface Waiting {
  readonly session: string;
  /** Higher is served first. */
  readonly priority: number;
  /** Milliseconds since 1970; earlier is served first. */
  readonly since: number;
  /** Only this agent may take it. */
  readonly target: string | null;
  /** Gets it if free. */
  readonly lastAgent: string | null;
}

export interface Candidate {
  readonly id: string;
  readonly online: boolean;
  /** Sessions it holds or has reserved. */
  readonly open: number;
  readonly capacity: number;
  /** Since when it has had nothing new, milliseconds since 1970; smaller has been idle longer. */
  readonly idleSince: number;
}

/** Below zero when `a` is served before `b`: priority, then arrival, then id. */
export function compareWaiting(a: Waiting, b: Waiting): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  if (a.since !== b.since) return a.since - b.since;
  return a.session < b.session ? -1 : a.session > b.session ? 1 : 0;
}

export function isFree(agent: Candidate): boolean {
  return agent.online && agent.open < agent.capacity;
}

/** Below zero when `a` is the better choice: fewest open sessions, then longest idle, then id. */
export function compareCandidates(a: Candidate, b: Candidate): number {
  if (a.open !== b.open) return a.open - b.open;
  if (a.idleSince !== b.idleSince) return a.idleSince - b.idleSince;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** The agent that should take this session now, or undefined when it must wait. */
export function chooseAgent(waiting: Waiting, agents: Iterable<Candidate>): Candidate | undefined {
  let best: Candidate | undefined;
  for (const agent of agents) {
    if (!isFree(agent)) continue;
    if (waiting.target !== null) {
      if (agent.id === waiting.target) return agent;
      continue;
    }
    if (agent.id === waiting.lastAgent) return agent;
    if (best === undefined || compareCandidates(agent, best) < 0) best = agent;
  }
  return best;
}
