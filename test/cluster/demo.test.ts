import { spawn } from 'node:child_process';
import { mkdtempSync, chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { freePort, until } from '../../scripts/processes.ts';
import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import { Client, http, login, visitor } from '../support/client.ts';
import type { TestNode } from '../support/node.ts';

t.setTimeout(120_000);
const script = fileURLToPath(new URL('../../scripts/demo-cluster.ts', import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), 'kefu-demo-'));
chmodSync(dataDir, 0o711);
t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));

interface Run {
  readonly output: () => string;
  readonly signal: (name: NodeJS.Signals) => void;
  readonly exited: Promise<number | null>;
}

/** The command, as `npm run demo:cluster` runs it. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const child = spawn(process.execPath, [script, '--data-dir', dataDir, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output += data.toString()));
  return {
    output: () => output,
    signal: (name) => void child.kill(name),
    exited: new Promise((resolve) => child.on('exit', resolve)),
  };
}

/** Waits until it has said this; what it said instead is the error, at once when it has ended. */
async function said(demo: Run, words: string | RegExp, withinMs: number): Promise<void> {
  const isSaid = (): boolean => demo.output().match(words) !== null;
  try {
    await Promise.race([
      until(String(words), isSaid, withinMs),
      demo.exited.then((code) => Promise.reject(new Error(`it has ended with ${code}`))),
    ]);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${demo.output()}`, { cause: error });
  }
}

/** Everything that runs from this data directory. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return command.includes(dataDir) ? [`${pid} ${command}`] : [];
      } catch {
        return [];
      }
    });
}

t.test('what is in its way is one clear line', async (t) => {
  const taken = createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port));
  });
  const refusals = [
    [run(['--port', String(port)]), `kefu: port ${port} is in use: choose others with --port\n`],
    [run(['--port', 'x']), 'kefu: --port x is no port\n'],
    [run(['--nonsense']), /^kefu: Unknown option '--nonsense'.*\n$/],
  ] as const;
  for (const [{ exited, output }, line] of refusals) {
    t.equal(await exited, 1);
    t.match(output(), line);
    t.equal(output().split('\n').length, 2, 'one line');
  }
  taken.close();
  t.same(processes(), []);
});

t.test('it starts, carries a talk over a node’s death, and leaves nothing behind', async (t) => {
  const first = await freePort(3);
  const demo = run(['--port', String(first)]);
  t.teardown(() => demo.signal('SIGKILL'));
  await said(demo, 'the cluster is ready', 60_000);
  const pids = [...demo.output().matchAll(/^ {2}n\d {2}pid (\d+)/gm)].map((match) => Number(match[1]));
  t.equal(pids.length, 3);
  const nodes = [0, 1, 2].map((index) => {
    const port = first + index;
    return { url: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}/v1/ws` } as TestNode;
  });
  const { body: report } = await http(nodes[1]!, 'GET', '/v1/cluster');
  t.match(report, { members: { length: 3 }, nats: { replicas: 3 } });
  t.equal((await fetch(`${nodes[2]!.url}/cluster`)).status, 200);

  const agent = await Client.hello(nodes[1]!.wsUrl, (await login(nodes[1]!, 'agent1')).token);
  await agent.ask({ t: 'presence', state: 'online' });
  const customer = await Client.hello(nodes[2]!.wsUrl, (await visitor(nodes[2]!)).token);
  const { session } = await customer.ask({ t: 'open' });
  await agent.seen((frame) => frame.t === 'assigned' && frame.session.id === session.id);
  t.equal((await customer.say(session.id, 'm1', 'hello from n3')).t, 'ack');
  await agent.seen((frame) => frame.t === 'event' && frame.body?.text === 'hello from n3');

  process.kill(pids[0]!, 'SIGKILL');
  await said(
    demo,
    new RegExp(`n1 \\(pid ${pids[0]}\\) has ended by SIGKILL; it is started again in 5 s`),
    10_000,
  );
  await until('the others have its shards', async () => {
    const { body } = await http(nodes[2]!, 'GET', '/v1/cluster');
    const phases = (body as ClusterReport).shards.map(({ phase }) => phase);
    return body.members.length === 2 && !phases.includes('nobody') && !phases.includes('claimed');
  });
  t.equal((await customer.say(session.id, 'm2', 'still here')).t, 'ack');
  await said(demo, /n1 is back: pid \d+/, 20_000);
  agent.close();
  customer.close();

  const since = performance.now();
  demo.signal('SIGINT');
  t.equal(await demo.exited, 0);
  t.ok(performance.now() - since < 10_000, `within ${Math.round(performance.now() - since)} ms`);
  t.same(processes(), []);
});
