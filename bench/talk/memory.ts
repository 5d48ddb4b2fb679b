import { Helper } from '../support/helper.ts';
import { newDataDir, removeDataDir, startBenchNode, type BenchNode } from '../support/node.ts';
import { none, type Row } from '../support/report.ts';
import type { CrowdOrder } from './crowd-process.ts';
import { pause } from './load.ts';

/** A process may hold 20,000 files, and one address has 28,000 ports: the crowd comes in parts. */
const partMax = 7500;
const settleSeconds = 60;

export async function memory(crowd: number, stillSeconds: number): Promise<readonly Row[]> {
  const dataDir = newDataDir();
  const node = await startBenchNode(dataDir);
  const idle = await settled(node, stillSeconds);
  const count = Math.ceil(crowd / partMax);
  const parts = Array.from(
    { length: count },
    () => new Helper<CrowdOrder>(new URL('crowd-process.ts', import.meta.url)),
  );
  const connected = await Promise.all(
    parts.map((part, index) =>
      part.ask<number>({ port: node.port, count: Math.floor(crowd / count), address: 10 + index }),
    ),
  );
  const full = await settled(node, stillSeconds);
  const still = await Promise.all(parts.map((part) => part.ask<number>({ ask: 'connected' })));
  for (const part of parts) part.close();
  await node.stop();
  removeDataDir(dataDir);
  const total = connected.reduce((sum, part) => sum + part, 0);
  if (still.reduce((sum, part) => sum + part, 0) !== total) throw new Error('some of the crowd were cut off');
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const each = (full - idle) / total / 1000;
  return [
    [
      `memory a connected customer with an open session (${total.toLocaleString('en')} of them)`,
      `${each.toFixed(1)} kB (${megabytes(idle)} → ${megabytes(full)})`,
      none,
      '10 kB',
    ],
  ];
}

/** Memory once it has stopped falling: nobody forces a collection, and garbage is not what a customer costs. */
async function settled(node: BenchNode, stillSeconds: number): Promise<number> {
  let least = node.rssBytes();
  for (let still = 0, seconds = 0; still < stillSeconds && seconds < settleSeconds; seconds += 1) {
    await pause(1000);
    const now = node.rssBytes();
    still = now > least * 0.99 ? still + 1 : 0;
    least = Math.min(least, now);
  }
  return least;
}
