import { Client, customerWithSession, http, onlineAgent } from '../support/client.ts';
import type { TestNode } from '../support/node.ts';

/** Customers that talk without a pause, and what each was told: what a crash must not take back. */
export interface Load {
  readonly acked: { session: string; id: string; seq: number }[];
  /** Ids that were answered with an error: they must not be in the log. */
  readonly refused: { session: string; id: string; code: string }[];
  readonly talkers: { token: string; session: string; client: Client }[];
  stop(): void;
  ackedAtLeast(count: number): Promise<void>;
}

let names = 0;

export async function startLoad(node: TestNode, customers: number): Promise<Load> {
  const agent = await onlineAgent(node, 'agent1');
  void agent;
  let running = true;
  const talkers = await Promise.all(Array.from({ length: customers }, () => customerWithSession(node)));
  const load: Load = {
    acked: [],
    refused: [],
    talkers: talkers.map((client) => ({ token: client.token, session: client.session, client })),
    stop() {
      running = false;
    },
    async ackedAtLeast(count) {
      const end = Date.now() + 20_000;
      while (load.acked.length < count) {
        if (Date.now() > end) throw new Error(`only ${load.acked.length} acks`);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    },
  };
  for (const { client, session } of load.talkers) {
    const talk = async (): Promise<void> => {
      while (running && client.closed === undefined) {
        const id = `m${(names += 1)}`;
        const answer = await Promise.race([
          client.say(session, id).catch(() => undefined),
          client.untilClosed(60_000),
        ]);
        if (answer === undefined || !('t' in answer)) continue;
        if (answer.t === 'ack') load.acked.push({ session, id, seq: answer.seq });
        else {
          load.refused.push({ session, id, code: answer.code });
          // Refused at once: without a breath this loop would be all that runs.
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
      }
    };
    for (let lane = 0; lane < 4; lane += 1) void talk();
  }
  return load;
}

/** Reads every log and compares: acked events once, in their place; refused ones nowhere. Returns what is wrong. */
export async function faultsOf(node: TestNode, load: Load): Promise<string[]> {
  const faults: string[] = [];
  // Answers may still come while the logs are read.
  const acked = [...load.acked];
  const refused = [...load.refused];
  for (const { session, token, client } of load.talkers) {
    faults.push(...client.faults);
    const places = new Map<string, number>();
    for (let after = 0; ;) {
      const { status, body } = await http(
        node,
        'GET',
        `/v1/sessions/${session}/events?after=${after}&limit=200`,
        { token },
      );
      if (status !== 200) return [`${status} ${JSON.stringify(body)}`];
      for (const event of body.data) {
        if (event.seq !== after + 1) faults.push(`seq ${event.seq} after ${after}`);
        after = event.seq;
        if (places.has(event.id)) faults.push(`${event.id} is there twice`);
        places.set(event.id, event.seq);
      }
      if (body.next === null) break;
    }
    for (const { id, seq, session: where } of acked)
      if (where === session && places.get(id) !== seq)
        faults.push(`${id} was acked at ${seq} and is at ${places.get(id)}`);
    for (const { id, code, session: where } of refused)
      if (where === session && places.has(id)) faults.push(`${id} was refused (${code}) and is there`);
  }
  return faults;
}
