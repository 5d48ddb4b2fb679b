import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import {
  freePort,
  newDataDir,
  postmasterPid,
  runRefused,
  startNode,
  type TestNode,
} from '../support/node.ts';
import { until } from '../../scripts/processes.ts';
import { Talkers } from './talkers.ts';
import { crashEnv, postgresProcesses, signalAll } from './world.ts';

t.setTimeout(120_000);

t.test('SIGTERM under load ends with 0 within 10 s, and nothing acked is lost', async (t) => {
  const node = await startNode({ env: crashEnv });
  const talkers = await Talkers.start(node, 8);
  await talkers.untilAcked(300);
  talkers.down();
  const asked = performance.now();
  t.equal(await node.stop(), 0);
  const ms = performance.now() - asked;
  t.ok(ms < 10_000, `${Math.round(ms)} ms`);
  const again = await startNode({ env: crashEnv, dataDir: node.dataDir });
  talkers.up(again);
  await talkers.untilAcked(200);
  t.same(await talkers.check(), []);
  talkers.stop();
  await again.remove();
});

t.test('a stop that hangs with the database is over within 10 s', async (t) => {
  const { node, over } = await withDatabaseThatHangs();
  const asked = performance.now();
  await node.stop();
  const ms = performance.now() - asked;
  t.ok(ms < 10_500, `${Math.round(ms)} ms`);
  t.notMatch(node.logs(), /Assertion failed/, 'it ended, and did not abort');
  await over();
});

t.test('a second signal ends the node at once', async (t) => {
  // The first one takes its time then.
  const { node, over } = await withDatabaseThatHangs();
  node.signal('SIGTERM');
  const asked = performance.now();
  node.signal('SIGINT');
  const code = await node.exited;
  t.ok(performance.now() - asked < 2000);
  t.ok(code === 130 || code === null, `exit code ${code}; null: by the signal itself`);
  t.notMatch(node.logs(), /Assertion failed/, 'it ended, and did not abort');
  await over();
});

t.test('a second node on the same data directory or port is refused with one clear line', async (t) => {
  const node = await startNode({ env: crashEnv });
  const here = await runRefused(['--demo', '--port', '0', '--data-dir', node.dataDir]);
  t.equal(here.code, 1);
  t.match(here.output, /^kefu: the data directory .* is in use by another kefu \(process \d+\)/);
  t.equal(here.output.trim().split('\n').length, 1);
  const other = `${node.dataDir}/other`;
  const busy = await runRefused(['--demo', '--port', String(node.port), '--data-dir', other]);
  t.equal(busy.code, 1);
  t.match(busy.output, /^kefu: port \d+ of 127.0.0.1 is in use/);
  t.equal(busy.output.trim().split('\n').length, 1);
  await node.remove();
});

t.test('a port that somebody takes while the node starts is one clear line too', async (t) => {
  const port = await freePort();
  const dataDir = newDataDir();
  const refused = runRefused(['--demo', '--port', String(port), '--data-dir', dataDir]);
  // It has looked by then, and listens last.
  await until('its database starts', () => postmasterPid(dataDir) !== undefined);
  const other = createServer().listen(port, '127.0.0.1');
  const { code, output } = await refused;
  t.equal(code, 1);
  t.match(output, /^kefu: port \d+ of 127.0.0.1 is in use: give another --port$/m);
  t.notMatch(output, /\n\s+at /, 'and no stack');
  other.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A node in the middle of talks, whose database stands still. */
async function withDatabaseThatHangs(): Promise<{ node: TestNode; over: () => Promise<void> }> {
  const node = await startNode({ env: crashEnv });
  const talkers = await Talkers.start(node, 4);
  await talkers.untilAcked(100);
  talkers.down();
  const pids = postgresProcesses(node);
  signalAll(pids, 'SIGSTOP');
  const over = (): Promise<void> => {
    for (const pid of pids) signalIfThere(pid, 'SIGCONT');
    talkers.stop();
    return node.remove();
  };
  return { node, over };
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended with the node.
  }
}
