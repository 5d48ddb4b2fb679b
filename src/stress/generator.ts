import { realClock } from '../core/real-clock.ts';
import { Crowd } from './crowd.ts';
import type { FromGenerator, Order, ToGenerator } from './orders.ts';
import { Storm } from './storm.ts';
import { Tally } from './tally.ts';

/** A generator's process: does what it is ordered to, and tells each second what happened. */
const secondMs = 1000;
const tally = new Tally();
let work: Crowd | Storm | undefined;
let isStarted = false;

function tell(message: FromGenerator): void {
  if (process.connected) process.send!(message);
}

let cpu = process.cpuUsage();
let cpuMs = realClock.nowMs();

function tellSecond(): void {
  if (work === undefined || !isStarted) return;
  const used = process.cpuUsage(cpu);
  const now = realClock.nowMs();
  const cores = (used.user + used.system) / 1000 / Math.max(now - cpuMs, 1);
  cpu = process.cpuUsage();
  cpuMs = now;
  tell({ t: 'second', second: tally.take(work.connections, work.customers), cores });
}

/** Seconds end at the same times in all processes. */
function everySecond(startMs: number): void {
  let next = startMs + secondMs;
  const wait = (): void => {
    realClock.after(next - realClock.nowMs(), () => {
      next += secondMs;
      tellSecond();
      wait();
    });
  };
  wait();
}

async function open(order: Order): Promise<void> {
  work = order.isStorm ? new Storm(order, tally) : new Crowd(order, tally);
  await work.open();
  tell({ t: 'ready' });
}

async function settle(): Promise<void> {
  await work?.settle();
  tell({ t: 'settled' });
}

async function finish(): Promise<void> {
  await work?.finish();
  tellSecond();
  tell({ t: 'done', examples: tally.examples });
}

function failed(error: unknown): void {
  tell({ t: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

process.on('message', (message: ToGenerator) => {
  switch (message.t) {
    case 'order':
      return void open(message.order).catch(failed);
    case 'start':
      isStarted = true;
      tally.take(0, 0);
      everySecond(message.atMs);
      return work?.start(message.atMs);
    case 'over':
      return void settle().catch(failed);
    case 'finish':
      return void finish().catch(failed);
  }
});
// A Ctrl-C goes to all processes of a terminal: who ordered the load ends it in order.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('uncaughtException', failed);
process.on('unhandledRejection', failed);
