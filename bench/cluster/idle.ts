import { none, spread, type Row } from '../support/report.ts';
import type { Measured, Plan } from './plan.ts';
import type { World } from './world.ts';

interface Varz {
  readonly in_msgs: number;
  readonly out_msgs: number;
}

const settleMs = 3000;

/**
 * What three nodes without a single client send over NATS: heartbeats to the lease store with their answers, and beats
 * to each other. Counted by the only server itself: messages that it took and messages that it gave, so a beat of
 * one of three nodes counts three times.
 */
export async function idle({ monitorPort }: World, plan: Plan): Promise<Measured> {
  await new Promise((resolve) => setTimeout(resolve, Math.min(plan.idleMs, settleMs)));
  const counts: { taken: number; given: number }[] = [];
  // One window, cut into three to show how even it is.
  for (let part = 0; part < 3; part += 1) counts.push(await count(monitorPort, plan.idleMs / 3));
  const show = (of: (it: { taken: number; given: number }) => number): string => spread(counts.map(of), 1);
  const rows: Row[] = [
    [
      `idle cluster of 3: NATS messages/s, in and out, over ${plan.idleMs / 1000} s`,
      show(({ taken, given }) => taken + given),
      none,
      'under 20',
    ],
    ['… to the server; from it', `${show((it) => it.taken)}; ${show((it) => it.given)}`, none, none],
  ];
  return { rows, results: { counts }, work: '3 nodes with 256 shards, nobody connected' };
}

async function count(port: number, ms: number): Promise<{ taken: number; given: number }> {
  const [before, started] = [await varz(port), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, ms));
  const [after, seconds] = [await varz(port), (performance.now() - started) / 1000];
  return {
    taken: (after.in_msgs - before.in_msgs) / seconds,
    given: (after.out_msgs - before.out_msgs) / seconds,
  };
}

async function varz(port: number): Promise<Varz> {
  return (await (await fetch(`http://127.0.0.1:${port}/varz`)).json()) as Varz;
}
