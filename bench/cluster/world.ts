import { bucketOf } from '../../src/cluster/nats-subjects.ts';
import { placeShards } from '../../src/cluster/rendezvous.ts';
import { shardOf } from '../../src/core/ids.ts';
import type { ClusterStatus } from '../../src/protocol/cluster-status.ts';
import { TestCluster } from '../../test/support/cluster.ts';
import { freePort, until } from '../../scripts/processes.ts';
import { noLimits, post } from '../support/node.ts';

/** The stream of the leases, by its bucket. */
export const leaseStream = `KV_${bucketOf('kefu')}`;

/** A cluster, and where its only NATS server tells of itself. */
export interface World {
  readonly cluster: TestCluster;
  /** Of the first server's HTTP. */
  readonly monitorPort: number;
}

/** Real nodes as in the tests, without the limits that would slow the load down; settles when each has its shards. */
export async function startWorld(
  natsServers: 1 | 3,
  env: Readonly<Record<string, string>> = {},
): Promise<World> {
  const cluster = await TestCluster.start({
    nodes: 0,
    workers: 1,
    natsServers,
    env: { ...noLimits, KEFU_LOG_LEVEL: 'warn', ...env },
  });
  try {
    const monitorPort = await freePort();
    await cluster.nats.restartWith(0, (config) => `${config}\nhttp: "127.0.0.1:${monitorPort}"\n`);
    // The first one makes the schema and the first agents.
    await cluster.add(0);
    await Promise.all([cluster.add(1), cluster.add(2)]);
    await untilBalanced(cluster);
    return { cluster, monitorPort };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

export function portsOf({ nodes }: TestCluster, without?: number): number[] {
  return nodes.filter((_, index) => index !== without).map((node) => node.port);
}

const tokens = new Map<number, string>();

/** The cluster as one of its nodes sees it. */
export async function statusOf(port: number): Promise<ClusterStatus> {
  let token = tokens.get(port);
  if (token === undefined) {
    const login = { email: 'admin@demo.kefu', password: 'demo' };
    ({ token } = await post<{ token: string }>(port, '/v1/login', login));
    tokens.set(port, token);
  }
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/v1/cluster`, { headers });
  if (!response.ok) throw new Error(`/v1/cluster: ${response.status}`);
  return (await response.json()) as ClusterStatus;
}

/** Whether the node of this number has the session's shard. */
export function hasSession(status: ClusterStatus, index: number, session: string): boolean {
  return status.shards[shardOf(session)]!.process?.startsWith(`n${index + 1}~`) === true;
}

/** Until every shard of the three nodes is served where it should be, and every node says so. */
export function untilBalanced(cluster: TestCluster): Promise<true> {
  return until('every shard is where it should be', () => isBalanced(cluster), 60_000).then(() => true);
}

async function isBalanced(cluster: TestCluster): Promise<boolean> {
  for (const port of portsOf(cluster)) {
    const { self, members, shards } = await statusOf(port);
    if (members.length !== cluster.nodes.length) return false;
    const owners = placeShards(members);
    const isRight = shards.every(
      ({ shard, process, phase }) =>
        process?.startsWith(`${owners[shard]}~`) === true && (process !== self || phase === 'open'),
    );
    if (!isRight) return false;
  }
  return true;
}
