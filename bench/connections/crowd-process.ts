import { inParallel } from '../support/node.ts';
import { Member } from './member.ts';

/** Part of a crowd, told what to do by messages. */
export type CrowdOrder =
  /** They get their tokens; connecting is another thing. */
  | { readonly do: 'visit'; readonly port: number; readonly count: number; readonly network: string }
  | { readonly do: 'connect' }
  | { readonly do: 'open' }
  /** Each says something, and waits for the ack. */
  | { readonly do: 'say' }
  /** Each says something and is cut off at once; then all come back. */
  | { readonly do: 'storm' }
  | { readonly do: 'check'; readonly port: number }
  | { readonly do: 'count' };

export interface Connected {
  readonly connected: number;
  readonly seconds: number;
}
/** Milliseconds since the cut, for each that came back: until `ready`, and until all that it had said was acked. */
export interface Stormed {
  readonly readyMs: readonly number[];
  readonly ackedMs: readonly number[];
}

/** In the air at once: of one process. */
const width = 200;
const waitMs = 60_000;
/**
 * Of a process. One has 28,000 ports, of which those that were cut stay taken for a minute: with more than half of them taken the
 * kernel looks through all of these for each connect, a millisecond and more.
 */
const addressCount = 16;
const members: Member[] = [];
let round = 0;

async function obey(order: CrowdOrder): Promise<unknown> {
  switch (order.do) {
    case 'visit': {
      const { port, count, network } = order;
      const numbers = Array.from({ length: count }, (_, number) => number);
      const addressOf = (number: number): string => `${network}.${1 + (number % addressCount)}`;
      members.push(...(await inParallel(numbers, 16, (number) => Member.visit(port, addressOf(number)))));
      return undefined;
    }
    case 'connect': {
      const started = performance.now();
      const waiting = members.filter((member) => !member.isConnected);
      await inParallel(waiting, width, (member) => member.connect());
      return { connected: waiting.length, seconds: (performance.now() - started) / 1000 } satisfies Connected;
    }
    case 'open':
      await inParallel(members, 64, (member) => member.open());
      return undefined;
    case 'say':
      sayAll();
      await Promise.all(members.map((member) => member.caughtUp()));
      return undefined;
    case 'storm':
      return storm();
    case 'check': {
      const counts = await inParallel(members, 16, (member) => member.check(order.port));
      return counts.reduce((sum, count) => sum + count, 0);
    }
    case 'count':
      return members.filter((member) => member.isConnected).length;
  }
}

function sayAll(): void {
  round += 1;
  for (const [index, member] of members.entries()) member.say(`m${index}-${round}`);
}

async function storm(): Promise<Stormed> {
  sayAll();
  // One turn, so that what was said is on its way.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  for (const member of members) member.cut();
  const cutMs = performance.now();
  const readyMs: number[] = [];
  const ackedMs: number[] = [];
  const late = setTimeout(() => {
    const fault = members.find((member) => member.fault !== undefined)?.fault ?? 'no error was told';
    const counts = `${readyMs.length} of ${members.length} ready, ${ackedMs.length} acked`;
    process.send!({ error: `not all were back in ${waitMs} ms: ${counts}; ${fault}` });
  }, waitMs);
  await inParallel(members, width, async (member) => {
    await member.connect();
    readyMs.push(performance.now() - cutMs);
    member.sayAgain();
    await member.caughtUp();
    ackedMs.push(performance.now() - cutMs);
  });
  clearTimeout(late);
  return { readyMs, ackedMs };
}

// As clients must, spread over the heartbeat of 25 s.
let place = 0;
setInterval(() => {
  for (let count = 0; count < members.length / 20; count += 1) {
    place = (place + 1) % members.length;
    members[place]!.ping();
  }
}, 1000);

process.on('message', (order: CrowdOrder) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
