import { parentPort, type MessagePort } from 'node:worker_threads';
import type { Envelope } from '../../src/actors/engine/types.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { openThread, type Thread } from './adders.ts';

/** The other thread: owns every shard, as a worker thread of a node does its part. */
export interface Link {
  readonly thread: string;
  readonly port: MessagePort;
  /** Counts of what is on its way, as the supervisor makes them. */
  readonly sent: SharedArrayBuffer;
  readonly received: SharedArrayBuffer;
}

/** As worker.ts of a node does it. */
export function linkTo({ router }: Thread, { thread, port, sent, received }: Link): void {
  const handled = new Int32Array(received);
  router.connect(thread, port, sent);
  port.on('message', (envelopes: readonly Envelope[]) => {
    router.receive(envelopes, thread);
    Atomics.add(handled, 1, envelopes.length);
  });
}

// This module is the worker's start file, and lends `linkTo` to the process that starts it.
parentPort?.once('message', (link: Link) => linkTo(openThread(realClock, 'b', 'b'), link));
