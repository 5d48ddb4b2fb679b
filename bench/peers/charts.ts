import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart, type Bar } from '../../src/stress/chart.ts';
import { median } from '../support/report.ts';
import type { Report } from './index.ts';

const [kefuColor, peerColor] = [0, 5];
const names: Readonly<Record<string, string>> = {
  kefu: 'kefu',
  bare: 'the bare path',
  ws: 'ws',
  'socket-io': 'Socket.IO + Redis',
  'socket-io-batch': 'Socket.IO, batched by hand',
  ejabberd: 'ejabberd + MAM',
};

function bar(name: string, values: readonly number[], color: number): Bar {
  return { name, value: median(values), low: Math.min(...values), high: Math.max(...values), color };
}

/** The two tables as pictures, `peers-rate.svg` and `peers-p99.svg`: medians of the rounds, with the least and the most. */
export function writeCharts(folder: string, { best, half }: Report): void {
  const rates = Object.entries(best)
    // A relay that stores nothing would make all others look alike.
    .filter(([name]) => !name.startsWith('relay'))
    .map(([name, rounds]) => {
      const perSecond = rounds.map((it) => it.perSecond);
      return bar(names[name] ?? name, perSecond, name === 'kefu' ? kefuColor : peerColor);
    });
  const p99s = Object.entries(half).flatMap(([name, rounds]) => {
    const at = `at ${rounds[0]!.perSecond.toLocaleString('en')}/s`;
    const [peers, kefus] = [rounds.map(({ peer }) => peer.p99Ms), rounds.map(({ kefu }) => kefu.p99Ms)];
    return [bar(`${names[name] ?? name} ${at}`, peers, peerColor), bar(`kefu ${at}`, kefus, kefuColor)];
  });
  const title = 'Messages a second: stored in PostgreSQL, acked and delivered';
  const write = (name: string, svg: string): void => writeFileSync(join(folder, name), `${svg}\n`);
  write(
    'peers-rate.svg',
    barChart({ title, bars: rates, x: { format: (value) => Math.round(value).toLocaleString('en') } }),
  );
  const format = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  const p99Title = 'Ack p99 at half of each one’s own best rate, and kefu at that rate';
  write('peers-p99.svg', barChart({ title: p99Title, bars: p99s, x: { isLog: true, format } }));
}
