import type { NatsOptions } from '../../src/cluster/nats-connection.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { meet } from '../support/meet.ts';
import { median } from '../support/report.ts';
import { FeedConsumer, type Fed } from './consumer.ts';
import { Talker, type Company } from './talker.ts';

export type { Fed };

/** The process of those who talk while nodes come and go: does what it is told by messages. */
export type TalkOrder =
  | { readonly do: 'open'; readonly ports: readonly number[]; readonly pairs: number }
  /** Where clients may connect from now on. */
  | { readonly do: 'ports'; readonly ports: readonly number[] }
  /** Each customer says something so often; everybody is where it was first. */
  | { readonly do: 'talk'; readonly everyMs: number }
  /** What happens from now on is looked at by `report`. */
  | { readonly do: 'watch' }
  | { readonly do: 'report'; readonly sinceMs: number }
  /** The change feed is read from now on; `fed` tells how long it took. */
  | { readonly do: 'consume'; readonly nats: NatsOptions; readonly stream: string }
  | { readonly do: 'fed' }
  /** Nothing more is said; settles when all that was is acked and delivered. */
  | { readonly do: 'rest' };

/** What a customer's session went through. Times by the clock that all processes share. */
export interface Story {
  readonly session: string;
  /** Where its customer was connected when it began to be watched. */
  readonly port: number;
  /** The median gap between two acks before. */
  readonly usualMs: number;
  /** The largest gap between two acks that ends after. */
  readonly silenceMs: number;
  /** From then until the first ack of something that was said after it; undefined: none has come yet. */
  readonly answeredMs: number | undefined;
  /** The longest time from saying something to its ack, of the acks that came after. */
  readonly slowestMs: number;
}

/** What was done in all. */
export interface TalkWork {
  readonly said: number;
  readonly acked: number;
  /** Events that agents had, each in its place. */
  readonly delivered: number;
  readonly reconnects: number;
  readonly again: number;
}

const tickMs = 20;
const pingMs = 20_000;
const settleMs = 30_000;

const company: Company = {
  ports: [],
  faults: [],
  said: 0,
  acked: 0,
  reconnects: 0,
  again: 0,
  onAck: undefined,
};
let consumer: FeedConsumer | undefined;
let talkers: Talker[] = [];
const firstSeqs = new Map<Talker, number>();
const watchedAt = new Map<string, number>();
let timers: NodeJS.Timeout[] = [];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const customers = (): Talker[] => talkers.filter(({ kind }) => kind === 'customer');

async function open(ports: readonly number[], pairs: number): Promise<void> {
  company.ports = ports;
  talkers = (await meet(ports, pairs)).map((met) => new Talker(met, company));
  for (const talker of talkers) firstSeqs.set(talker, talker.lastSeq);
  setInterval(() => talkers.forEach((talker) => talker.ping()), pingMs);
}

async function talk(everyMs: number): Promise<void> {
  for (const talker of talkers) talker.goHome();
  await untilAll('everybody is connected', (talker) => talker.isReady);
  const speakers = customers();
  const startedMs = realClock.nowMs();
  let said = 0;
  // Evenly spread, and whatever comes back: a late turn of this process makes up for what it missed.
  timers = [
    setInterval(() => {
      const due = ((realClock.nowMs() - startedMs) / everyMs) * speakers.length;
      for (; said < due; said += 1) speakers[said % speakers.length]!.say();
    }, 1),
    setInterval(() => talkers.forEach((talker) => talker.tick(realClock.nowMs())), tickMs),
  ];
}

function watch(): void {
  for (const talker of customers()) {
    talker.acks = [];
    watchedAt.set(talker.session, talker.port);
  }
}

function report(sinceMs: number): Story[] {
  failOnFaults();
  return customers().map(({ session, acks }) => {
    const times = acks.map(([, ackedMs]) => ackedMs);
    const last = times.at(-1) ?? sinceMs;
    const gaps = [...times, Math.max(last, realClock.nowMs() - tickMs)].map((at, index, all) => ({
      endMs: at,
      ms: index === 0 ? 0 : at - all[index - 1]!,
    }));
    const after = acks.filter(([saidMs]) => saidMs > sinceMs).map(([, ackedMs]) => ackedMs);
    return {
      session,
      port: watchedAt.get(session)!,
      usualMs: median(gaps.filter(({ endMs }) => endMs <= sinceMs).map(({ ms }) => ms)),
      silenceMs: Math.max(...gaps.filter(({ endMs }) => endMs > sinceMs).map(({ ms }) => ms)),
      slowestMs: Math.max(0, ...acks.filter(([, at]) => at > sinceMs).map(([said, at]) => at - said)),
      answeredMs: after.length === 0 ? undefined : Math.min(...after) - sinceMs,
    };
  });
}

async function rest(): Promise<TalkWork> {
  clearInterval(timers[0]);
  await untilAll('all that was said is acked', (talker) => talker.open === 0);
  for (const timer of timers) clearInterval(timer);
  const agents = new Map(talkers.filter(({ kind }) => kind === 'agent').map((it) => [it.session, it]));
  await untilAll('all is delivered', (talker) => agents.get(talker.session)!.lastSeq >= talker.lastSeq);
  let delivered = 0;
  for (const talker of agents.values()) delivered += talker.lastSeq - firstSeqs.get(talker)!;
  for (const { session, lastSeq } of talkers)
    if (agents.get(session)!.lastSeq !== lastSeq) throw new Error(`the two sides of ${session} differ`);
  const { said, acked, reconnects, again } = company;
  if (said !== acked || acked !== delivered)
    throw new Error(`said ${said}, acked ${acked}, delivered ${delivered}`);
  return { said, acked, delivered, reconnects, again };
}

async function untilAll(what: string, test: (talker: Talker) => boolean): Promise<void> {
  const untilMs = realClock.nowMs() + settleMs;
  while (!talkers.every(test)) {
    failOnFaults();
    if (realClock.nowMs() > untilMs) {
      const some = talkers.filter((it) => !test(it)).slice(0, 3);
      const which = some.map((it) => `${it.kind} of ${it.session}: ${it.open} open after ${it.lastSeq}`);
      throw new Error(`not in ${settleMs} ms: ${what}; ${which.join(', ')}`);
    }
    await pause(5);
  }
  failOnFaults();
}

function failOnFaults(): void {
  if (company.faults.length > 0)
    throw new Error(`${company.faults.length} faults, the first: ${company.faults.slice(0, 3).join('\n')}`);
}

async function obey(order: TalkOrder): Promise<unknown> {
  switch (order.do) {
    case 'open':
      return open(order.ports, order.pairs);
    case 'ports':
      company.ports = order.ports;
      return undefined;
    case 'talk':
      return talk(order.everyMs);
    case 'watch':
      return watch();
    case 'report':
      return report(order.sinceMs);
    case 'consume': {
      const feed = await FeedConsumer.start(order.nats, order.stream);
      company.onAck = (session, seq) => feed.acked(session, seq);
      consumer = feed;
      return undefined;
    }
    case 'fed':
      company.onAck = undefined;
      return consumer!.finish();
    case 'rest':
      return rest();
  }
}

process.on('message', (order: TalkOrder) => {
  obey(order).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
