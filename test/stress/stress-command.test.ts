import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Breach } from '../../src/stress/session-check.ts';
import type { Result } from '../../src/stress/result.ts';
import { startNode } from '../support/node.ts';
import { startLyingServer, type Lie } from './lying-server.ts';

/** `kefu stress` as an operator runs it, on real nodes, short and small. */
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kefu-stress-test-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
t.setTimeout(120_000);

let runs = 0;

interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly result: Result;
  readonly report: string;
}

async function stress(...args: string[]): Promise<Run> {
  runs += 1;
  const [json, report] = [join(folder, `${runs}.json`), join(folder, `${runs}.html`)];
  const child = spawn(process.execPath, [main, 'stress', '--json', json, '--report', report, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const text = read(json);
  return { code, output, result: (text === '' ? {} : JSON.parse(text)) as Result, report: read(report) };
}

const small = ['--customers', '20', '--agents', '3', '--rate', '60', '--warmup', '1s', '--duration', '3s'];
const admin = ['--admin', 'admin@demo.kefu:demo'];

function soundly(t: Test, { code, output, result, report }: Run): void {
  t.ok(code === 0 || result.exitCode === 1, output);
  t.ok(result.contract.ok && result.contract.audited > 20 && result.contract.compared > 20);
  const { counts, latencies } = result.whole;
  t.ok(counts.acked > 50 && counts.delivered > 50, JSON.stringify(counts));
  t.equal(counts.unanswered, 0);
  t.strictSame(result.errors, {}, 'no errors');
  t.ok(latencies.ack!.p99 > 0 && latencies.ack!.count > 50);
  t.ok((result.memory.maxBytes ?? 0) > 50e6, 'the server’s memory is known');
  t.ok(report.includes('<svg') && !report.includes('<script') && !/(?:src|href)=/.test(report));
}

t.test('a node of its own, steady: exit 0, and nothing is left', async (t) => {
  const run = await stress(...small, '--seed', '1', '--threshold', 'ack_p99<10s', '--threshold', 'errors<=0');
  soundly(t, run);
  t.equal(run.code, 0, run.output);
  t.strictSame(
    run.result.thresholds.map(({ ok }) => ok),
    [true, true],
  );
  t.match(run.output, /Contract: kept/);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(run.output)![0];
  await t.rejects(fetch(`${url}/healthz`), 'it is stopped');
});

t.test('a node that is there', async (t) => {
  const node = await startNode({ env: { KEFU_LIMITS_CONNECTIONS_PER_IP: '40' } });
  t.teardown(() => node.remove());
  const there = [...small, '--url', node.url, ...admin];

  await t.test('surge, in Chinese, by two processes', async (t) => {
    const run = await stress(...there, '--profile', 'surge', '--processes', '2', '--lang', 'zh-CN');
    soundly(t, run);
    t.equal(run.code, 0, run.output);
    t.match(run.output, /契约: 遵守/);
    t.match(run.report, 'lang="zh-CN"');
  });

  await t.test('storm: limits refuse, established conversations go on', async (t) => {
    const run = await stress(...there, '--profile', 'storm');
    soundly(t, run);
    const limits = run.result.verdicts.find(({ name }) => name === 'limits')!;
    t.ok(limits.values['refused']! > 0, JSON.stringify(limits));
    t.ok(run.result.verdicts.some(({ name }) => name === 'unnoticed'));
  });

  await t.test('reconnect: everybody is served again; a threshold that can’t be held: exit 1', async (t) => {
    const run = await stress(...there, '--profile', 'reconnect', '--threshold', 'ack_p50<0.001ms', '--quiet');
    soundly(t, run);
    t.equal(run.code, 1, run.output);
    t.strictSame(
      run.result.thresholds.map(({ ok }) => ok),
      [false],
    );
    const { values } = run.result.verdicts[0]!;
    t.ok(values['people']! >= 10 && values['all']! < 10_000, JSON.stringify(values));
  });

  await t.test('what can’t be run: exit 2, with one line', async (t) => {
    const refused = [
      [['--url', node.url], /--admin EMAIL:PASSWORD/],
      [['--url', node.url, '--admin', 'admin@demo.kefu:wrong'], /admin@demo\.kefu and its password/],
      [['--url', node.url, '--admin', 'agent1@demo.kefu:demo'], /is no admin/],
      [['--url', 'http://192.0.2.1:8080', ...admin], /say --yes/],
      [['--url', 'http://127.0.0.1:1', ...admin], /can’t be reached/],
    ] as const;
    const runs = await Promise.all(refused.map(([args]) => stress(...args, '--quiet')));
    for (const [index, { code, output }] of runs.entries()) {
      t.equal(code, 2, output);
      t.match(output, refused[index]![1]);
      t.equal(output.trim().split('\n').length, 1, 'one line');
    }
  });
});

t.test('servers that lie are found out: exit 3', async (t) => {
  const lies: readonly (readonly [Lie, Breach | undefined])[] = [
    ['none', undefined],
    ['lost', 'lost'],
    ['twice', 'duplicate'],
    ['gap', 'gap'],
  ];
  await Promise.all(
    lies.map(async ([lie, breach]) => {
      const server = await startLyingServer(lie);
      t.teardown(() => server.stop());
      const { code, output, result } = await stress(...small, '--agents', '1', '--url', server.url, ...admin);
      t.equal(code, breach === undefined ? 0 : 3, output);
      if (breach === undefined) return;
      t.ok((result.contract.breaches[breach] ?? 0) > 0, JSON.stringify(result.contract));
      t.ok(result.contract.examples.some(({ kind, session }) => kind === breach && session !== ''));
      t.match(output, /BROKEN/);
    }),
  );
});
