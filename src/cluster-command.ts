import type { ClusterEvent, ClusterReport } from './protocol/cluster-status.ts';

/** `kefu cluster status`: the cluster as one of its nodes sees it. */

const usage = 'kefu cluster status [--url http://127.0.0.1:8080] [--json]';
const askMs = 5000;
const recentMax = 8;
const memberColumns =
  'node,url,workers,shards,state,heard,up for,to commit,feed lag,PostgreSQL,NATS,version,generation'.split(
    ',',
  );

/** 0: every shard has an owner; 1: some have none; 2: it could not be asked. */
export async function clusterCommand(
  args: readonly string[],
  print: (text: string) => void,
  complain: (text: string) => void,
): Promise<number> {
  let url = 'http://127.0.0.1:8080';
  let json = false;
  for (let index = 1; index < args.length; index += 1) {
    if (args[index] === '--json') json = true;
    else if (args[index] === '--url' && args[index + 1] !== undefined) url = args[(index += 1)]!;
    else {
      complain(`kefu: ${args[index]} is not known here: ${usage}\n`);
      return 2;
    }
  }
  if (args[0] !== 'status') {
    complain(`kefu: ${usage}\n`);
    return 2;
  }
  try {
    const answer = await fetch(new URL('/v1/cluster', url), { signal: AbortSignal.timeout(askMs) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const status = (await answer.json()) as ClusterReport;
    print(json ? `${JSON.stringify(status, undefined, 2)}\n` : statusText(status));
    return status.shards.some(({ phase }) => phase === 'nobody') ? 1 : 0;
  } catch (error) {
    const { message, cause } = error as Error;
    complain(`kefu: ${url} can’t be asked: ${cause instanceof Error ? cause.message : message}\n`);
    return 2;
  }
}

export function statusText(status: ClusterReport): string {
  const count = (wanted: (shard: ClusterReport['shards'][number]) => boolean): number =>
    status.shards.filter(wanted).length;
  const epochs = status.shards.map(({ epoch }) => epoch);
  const rows = status.members.map((member) => [
    member.node,
    member.url,
    String(member.workers),
    String(count(({ process }) => process === member.process)),
    member.draining ? 'draining' : member.process === status.self ? 'this node' : 'alive',
    `${(member.silenceMs / 1000).toFixed(1)} s ago`,
    member.startedAt === null ? '-' : spanText(status.at - member.startedAt),
    String(member.health?.journalQueue ?? '-'),
    timeText(member.health?.feed?.lagMs),
    timeText(member.health?.databaseMs),
    timeText(member.health?.natsMs),
    member.version,
    member.generation,
  ]);
  const { leftMs, holds } = status.lease;
  const lease = leftMs === null ? 'for ever' : `for ${(leftMs / 1000).toFixed(1)} s more`;
  return [
    table(memberColumns, rows),
    '',
    `shards   ${count(({ phase }) => phase !== 'nobody')} of ${status.shards.length} have an owner, ${count(({ phase }) => phase === 'claimed' || phase === 'releasing')} in motion here, epochs ${Math.min(...epochs)} to ${Math.max(...epochs)}`,
    `lease    ${holds ? `held ${lease}` : 'NOT held: this node serves no session'}`,
    status.clustered
      ? `NATS     ${status.connected ? `reached, leases with ${status.nats?.replicas ?? '?'} replicas` : 'NOT reached'}`
      : 'NATS     none: a node alone',
    `since    ${Object.entries(status.counts)
      .map(([kind, value]) => `${kind} ${value}`)
      .join(', ')}`,
    ...status.recent
      .slice(0, recentMax)
      .map((event, index) => `${index === 0 ? 'lately ' : '       '}  ${eventText(event)}`),
    '',
  ].join('\n');
}

function eventText(event: ClusterEvent): string {
  const at = new Date(event.at).toISOString();
  if (event.kind === 'came') return `${at} ${event.node} is here`;
  if (event.kind !== 'moved') return `${at} ${event.node} ${event.kind === 'lost' ? 'was lost' : 'has left'}`;
  const from = event.from === null ? 'nobody' : event.from;
  return `${at} ${event.shards} shards from ${from} to ${event.to}, without an owner for up to ${timeText(event.gapMs)}`;
}

/** `-`: not known; `none`: there was no answer, or there is nothing of the kind. */
function timeText(ms: number | null | undefined): string {
  if (ms === undefined) return '-';
  if (ms === null) return 'none';
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function spanText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 2) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
