import type { ClusterStatus } from './protocol/cluster-status.ts';

/** `kefu cluster status`: the cluster as one of its nodes sees it. */

const usage = 'kefu cluster status [--url http://127.0.0.1:8080] [--json]';
const askMs = 5000;

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
    const status = (await answer.json()) as ClusterStatus;
    print(json ? `${JSON.stringify(status, undefined, 2)}\n` : statusText(status));
    return status.shards.some(({ phase }) => phase === 'nobody') ? 1 : 0;
  } catch (error) {
    const { message, cause } = error as Error;
    complain(`kefu: ${url} can’t be asked: ${cause instanceof Error ? cause.message : message}\n`);
    return 2;
  }
}

export function statusText(status: ClusterStatus): string {
  const count = (wanted: (shard: ClusterStatus['shards'][number]) => boolean): number =>
    status.shards.filter(wanted).length;
  const epochs = status.shards.map(({ epoch }) => epoch);
  const rows = status.members.map((member) => [
    member.node,
    member.url,
    String(member.workers),
    String(count(({ process }) => process === member.process)),
    member.draining ? 'draining' : member.process === status.self ? 'this node' : 'alive',
    `${(member.silenceMs / 1000).toFixed(1)} s ago`,
    member.version,
    member.generation,
  ]);
  const { leftMs, holds } = status.lease;
  const lease = leftMs === null ? 'for ever' : `for ${(leftMs / 1000).toFixed(1)} s more`;
  return [
    table(['node', 'url', 'workers', 'shards', 'state', 'heard', 'version', 'generation'], rows),
    '',
    `shards   ${count(({ phase }) => phase !== 'nobody')} of ${status.shards.length} have an owner, ${count(({ phase }) => phase === 'claimed' || phase === 'releasing')} in motion here, epochs ${Math.min(...epochs)} to ${Math.max(...epochs)}`,
    `lease    ${holds ? `held ${lease}` : 'NOT held: this node serves no session'}`,
    status.clustered
      ? `NATS     ${status.connected ? 'reached' : 'NOT reached'}`
      : 'NATS     none: a node alone',
    `since    ${Object.entries(status.counts)
      .map(([kind, value]) => `${kind} ${value}`)
      .join(', ')}`,
    '',
  ].join('\n');
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
