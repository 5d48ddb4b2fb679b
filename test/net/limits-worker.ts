import { parentPort, workerData } from 'node:worker_threads';
import { SharedLimits } from '../../src/net/connection-counter.ts';
import type { NodeLimits } from '../../src/net/connection-counter.ts';

/** One thread of limits.test.ts: comes in 2,000 times, asks for 2,000 tokens, leaves and comes back in between. */
const { buffer, thread, limits } = workerData as {
  buffer: SharedArrayBuffer;
  thread: number;
  limits: NodeLimits;
};
const shared = new SharedLimits(buffer, thread, limits);
let entered = 0;
let taken = 0;
for (let attempt = 0; attempt < 2000; attempt += 1) {
  if (shared.enter('10.0.0.1') === 'admitted') entered += 1;
  if (entered > 0 && attempt % 7 === 0) {
    shared.leave('10.0.0.1');
    entered -= 1;
  }
  if (shared.takeConnect('10.0.0.1', 5000) === 0) taken += 1;
}
// The last leave of one thread may come after the last attempt of the others: fill up what that freed.
while (shared.enter('10.0.0.1') === 'admitted') entered += 1;
parentPort?.postMessage({ entered, taken });
