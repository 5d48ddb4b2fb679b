import t from 'tap';
import { StartError } from '../../src/core/start-error.ts';
import { readOptions } from '../../src/stress/options.ts';
import type { Result } from '../../src/stress/result.ts';
import { sourceAddress, nodesOf } from '../../src/stress/target.ts';
import { judge, parseThreshold } from '../../src/stress/thresholds.ts';
import { verdictsOf } from '../../src/stress/verdicts.ts';
import { wordsOf } from '../../src/stress/words.ts';

const read = (...args: string[]) => readOptions(args, {}, 1);

t.test('flags are read, and what is not said follows from what is', async (t) => {
  const options = read('--customers', '2000', '--rate', '1000', '--duration', '5m', '--profile', 'surge')!;
  t.match(options, { customers: 2000, agents: 100, rate: 1000, durationMs: 300_000, warmupMs: 10_000 });
  t.equal(options.profile, 'surge');
  t.equal(options.urls, undefined);
  t.equal(read('--help'), undefined);
  t.equal(readOptions([], { LANG: 'zh_CN.UTF-8' }, 1)!.language, 'zh-CN');
  t.equal(readOptions(['--lang', 'en'], { LANG: 'zh_CN.UTF-8' }, 1)!.language, 'en');
  t.strictSame(readOptions([], { KEFU_STRESS_ADMIN: 'a@b:c:d' }, 1)!.admin, {
    email: 'a@b',
    password: 'c:d',
  });
});

t.test('a flag that can’t be is a refusal that names it', async (t) => {
  const wrong: readonly (readonly [RegExp, string[]])[] = [
    [/--customers/, ['--customers', '0']],
    [/--customers/, ['--customers', '1.5']],
    [/--rate/, ['--rate', 'many']],
    [/--duration/, ['--duration', '60']],
    [/--duration/, ['--duration', '1s']],
    [/--profile/, ['--profile', 'stormy']],
    [/--threshold/, ['--threshold', 'ack_p99']],
    [/ack_p98 is not measured/, ['--threshold', 'ack_p98<5ms']],
    [/without a unit/, ['--threshold', 'errors<5ms']],
    [/--admin/, ['--admin', 'nobody']],
    [/--lang/, ['--lang', 'fr']],
    [/--colour/, ['--colour', 'red']],
  ];
  for (const [message, args] of wrong)
    t.throws(() => read(...args), { constructor: StartError, message }, args.join(' '));
  for (const url of ['localhost:8080', 'ftp://a', 'http://127.0.0.1:1/path'])
    await t.rejects(nodesOf(url), { constructor: StartError, message: /--url/ });
});

t.test('localhost and 127.x have many source addresses, others none', async (t) => {
  const [local, far] = await nodesOf('http://localhost:81/,https://192.0.2.1');
  t.match(local, { host: '127.0.0.1', port: 81, isLoopback: true, hasSources: true });
  t.match(far, { host: '192.0.2.1', port: 443, isTls: true, isLoopback: false, hasSources: false });
  const all = new Set<string>();
  for (let process = 0; process < 30; process += 1)
    for (let place = 0; place < 2000; place += 1) all.add(sourceAddress(process, place));
  t.equal(all.size, 30 * 2000);
});

const phase = (name: string, p99: number, lost = 0) => ({
  name,
  seconds: 10,
  counts: { errors: 2, arrived: 50, lost } as Result['whole']['counts'],
  saidPerSecond: 0,
  ackedPerSecond: 120,
  deliveredPerSecond: 0,
  latencies: { ack: { count: 9, p50: 1, p90: 2, p99, p999: 5, max: 6 } },
});

t.test('thresholds hold or are missed; what was not measured misses', async (t) => {
  const result = { whole: phase('whole', 4), memory: { maxBytes: null } } as unknown as Result;
  const ok = (text: string): boolean => judge(parseThreshold(text), result).ok;
  t.ok(
    ok('ack_p99<5ms') && ok('ack_p99 <= 4') && ok('errors<=2') && ok('throughput>100') && ok('ack_max<1s'),
  );
  t.notOk(ok('ack_p99<4ms') || ok('errors<2') || ok('throughput>=121'));
  t.notOk(ok('delivery_p99<5s'), 'not measured');
  t.notOk(ok('memory_mib<1000'), 'not known');
});

t.test('a storm is noticed when acks take several times as long, and much longer', async (t) => {
  const memory = { beforeBytes: null, maxBytes: null, afterBytes: null };
  const verdict = (before: number, during: number, lost = 0): boolean | null =>
    verdictsOf(
      'storm',
      [phase('before', before), phase('during', during, lost), phase('after', before)],
      memory,
    )[0]!.ok;
  t.equal(verdict(5, 40), true, 'many times, but little');
  t.equal(verdict(200, 300), true, 'more, but not many times');
  t.equal(verdict(5, 100), false);
  t.equal(verdict(5, 5, 1), false, 'a connection was lost');
});

t.test('both languages have all texts', async (t) => {
  const paths = (value: unknown, path: string): string[] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => paths(inner, `${path}.${name}`))
      : [path];
  t.strictSame(paths(wordsOf('en'), ''), paths(wordsOf('zh-CN'), ''));
});
