import { readFileSync } from 'node:fs';
import { postmasterPid, type TestNode } from '../support/node.ts';

export const crashEnv = {
  KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
  KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
  KEFU_LIMITS_CONNECTS_PER_SECOND_PER_IP: '0',
  KEFU_TEST_HOOKS: '1',
};

export async function statusOf(node: TestNode, path: string): Promise<number> {
  const answer = await fetch(`${node.url}${path}`, { headers: { connection: 'close' } });
  await answer.arrayBuffer();
  return answer.status;
}

/** The postmaster first, so that it starts none anew while the others are signalled. */
export function postgresProcesses(node: TestNode): number[] {
  const pid = postmasterPid(node.dataDir);
  if (pid === undefined) throw new Error('PostgreSQL does not run');
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number))];
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) process.kill(pid, signal);
}
