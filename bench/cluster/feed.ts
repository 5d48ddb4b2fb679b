import { jetstreamManager } from '@nats-io/jetstream';
import { natsNames } from '../../src/integrations/nats/names.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { none, percentile, type Row } from '../support/report.ts';
import type { Talkers } from './faults.ts';
import type { Measured, Plan } from './plan.ts';
import type { Fed } from './talk-process.ts';
import { portsOf } from './world.ts';

export const feedStream = natsNames('kefu').stream;

/**
 * From the commit of a message to a JetStream consumer of the change feed, in the process that said it: so both times
 * are by one clock. The commit's own time nobody tells: it lies between the event's `at`, which the session gives it
 * before, and its ack.
 */
export async function feed(cluster: TestCluster, { helper }: Talkers, plan: Plan): Promise<Measured> {
  if (!(await hasStream(cluster)))
    return {
      rows: [['change feed: commit to consumer', 'there is no feed', none, 'p99 50 ms']],
      results: {},
      work: `skipped, for there is no stream ${feedStream}`,
    };
  await helper.ask({ do: 'ports', ports: portsOf(cluster) });
  const rounds: Fed[] = [];
  for (let round = 0; round < plan.rounds; round += 1) {
    await helper.ask({ do: 'consume', nats: cluster.nats.options(), stream: feedStream });
    await helper.ask({ do: 'talk', everyMs: plan.calmEveryMs });
    await new Promise((resolve) => setTimeout(resolve, plan.talkMs));
    await helper.ask({ do: 'rest' });
    rounds.push(await helper.ask<Fed>({ do: 'fed' }));
  }
  const count = rounds.reduce((sum, { fromAckMs }) => sum + fromAckMs.length, 0);
  return {
    rows: [
      rowOf(
        'change feed: from the ack at its sender to a consumer',
        rounds.map((it) => it.fromAckMs),
        'p99 50',
      ),
      rowOf(
        '… from the event’s `at`, so with the commit',
        rounds.map((it) => it.fromAtMs),
        none,
      ),
    ],
    results: { rounds: rounds.map(({ fromAckMs }) => fromAckMs.length) },
    work: `${count.toLocaleString('en')} messages acked, each consumed`,
  };
}

function rowOf(what: string, rounds: readonly (readonly number[])[], wanted: string): Row {
  const all = rounds.flat();
  const show = (values: readonly number[], share: number): string => percentile(values, share).toFixed(1);
  const p99s = rounds.map((list) => show(list, 0.99)).join(', ');
  return [
    `${what}, ms: p50 / p99 (p99 of each round)`,
    `${show(all, 0.5)} / ${show(all, 0.99)} (${p99s})`,
    none,
    wanted,
  ];
}

async function hasStream({ nats }: TestCluster): Promise<boolean> {
  const link = await nats.connect();
  try {
    const manager = await jetstreamManager(link.client);
    return await manager.streams.info(feedStream).then(
      () => true,
      () => false,
    );
  } finally {
    await link.close();
  }
}
