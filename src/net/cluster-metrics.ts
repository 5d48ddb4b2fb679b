import type { ClusterReport } from '../protocol/cluster-status.ts';

/** The cluster's part of /metrics: the main thread's knowledge, told once a node and not once a worker. */
export function clusterMetrics(status: ClusterReport): string {
  const phases = new Map<string, number>();
  for (const { phase } of status.shards) phases.set(phase, (phases.get(phase) ?? 0) + 1);
  const { counts, lease, members, connected } = status;
  const leftSeconds = lease.leftMs === Infinity ? 3600 : lease.leftMs / 1000;
  const own = members.find(({ process }) => process === status.self)?.health;
  return [
    gauge('kefu_cluster_members', 'Nodes that this one knows, itself too', members.length),
    gauge('kefu_cluster_nats_connected', '1 while NATS is reached', connected ? 1 : 0),
    gauge(
      'kefu_cluster_lease_left_seconds',
      'How long the lease holds without another heartbeat',
      leftSeconds,
    ),
    ...(own?.feed == null
      ? []
      : [
          gauge('kefu_feed_waiting_events', 'Events that wait for the change feed', own.feed.waiting),
          gauge('kefu_feed_lag_seconds', 'Age of the oldest of them', own.feed.lagMs / 1000),
        ]),
    head('kefu_cluster_shards', 'gauge', 'Shards as this node sees them'),
    ...['open', 'claimed', 'releasing', 'elsewhere', 'nobody'].map(
      (phase) => `kefu_cluster_shards{phase="${phase}"} ${phases.get(phase) ?? 0}\n`,
    ),
    head('kefu_cluster_events_total', 'counter', 'What became of shards here, since the start'),
    ...Object.entries(counts).map(([kind, count]) => `kefu_cluster_events_total{kind="${kind}"} ${count}\n`),
  ].join('');
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function gauge(name: string, help: string, value: number): string {
  return `${head(name, 'gauge', help)}${name} ${value}\n`;
}
