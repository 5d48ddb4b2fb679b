import type { Helper } from '../support/helper.ts';
import { getAll, inParallel, startBenchNode, type BenchNode } from '../support/node.ts';
import { none, type Row } from '../support/report.ts';
import { pause, type Told, type ToldSession } from './load.ts';
import type { Order } from './load-process.ts';

/** SIGTERM while everybody talks; then the node is started again, and all that was acked must be there, once. */
export async function stopUnderLoad(
  node: BenchNode,
  load: Helper<Order>,
  talkMs: number,
): Promise<{ rows: readonly Row[]; node: BenchNode }> {
  const talking = load.ask<Told>({ do: 'stop', inFlight: 4 });
  await pause(talkMs);
  const stopMs = await node.stop();
  const told = await talking;
  const again = await startBenchNode(node.dataDir);
  const sessions = Object.entries(told.sessions);
  const counts = await inParallel(sessions, 4, ([session, said]) => checkSession(again, session, said));
  const sum = (of: (count: { acked: number; there: number }) => number): string =>
    counts.reduce((total, count) => total + of(count), 0).toLocaleString('en');
  const rows: Row[] = [
    ['SIGTERM under load, to exit 0', `${Math.round(stopMs)} ms`, none, '2 s'],
    [
      '… messages acked meanwhile; in the history afterwards',
      `${sum((it) => it.acked)}; ${sum((it) => it.there)}`,
      none,
      'none lost',
    ],
  ];
  return { rows, node: again };
}

interface Stored {
  readonly seq: number;
  readonly id: string;
}

async function checkSession(
  node: BenchNode,
  session: string,
  { from, acked, refused }: ToldSession,
): Promise<{ acked: number; there: number }> {
  const events = await getAll<Stored>(node.port, `/v1/sessions/${session}/events?after=${from}`);
  const places = new Map<string, number>();
  events.forEach(({ seq, id }, index) => {
    if (seq !== from + 1 + index) throw new Error(`${session} has ${seq} after ${from + index}`);
    if (places.has(id)) throw new Error(`${id} of ${session} is there twice`);
    places.set(id, seq);
  });
  for (const [id, seq] of acked)
    if (places.get(id) !== seq)
      throw new Error(`${id} of ${session} was acked as ${seq}, and is ${places.get(id) ?? 'lost'}`);
  for (const id of refused)
    if (places.has(id)) throw new Error(`${id} of ${session} was refused, and is there`);
  return { acked: acked.length, there: events.length };
}
