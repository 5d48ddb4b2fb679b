import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t from 'tap';
import { SharedLimits, createSharedLimits, releaseThread } from '../../src/net/connection-counter.ts';
import type { NodeLimits } from '../../src/net/connection-counter.ts';
import { limitKeyOfAddress, limitKeyOfText } from '../../src/net/limit-key.ts';
import { TokenBucket, TokenBuckets } from '../../src/net/token-bucket.ts';

const none: NodeLimits = {
  connections: 0,
  connectionsPerIp: 0,
  connectsPerSecondPerIp: 0,
  requestsPerSecondPerIp: 0,
};

/** The model: a count that is filled up by the clock. */
class FilledBucket {
  #tokens: number;
  #atMs = 0;
  readonly #rate: number;
  readonly #burst: number;

  constructor(rate: number, burst: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
  }

  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) * this.#rate) / 1000);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

// Rates and steps for which both are exact, or rounding would decide whose token it is.
const rates = fc.constantFrom(1, 2, 4, 8, 20, 50, 100, 125, 250, 500);
const steps = fc.array(fc.nat(60), { minLength: 1, maxLength: 200 });

t.test(
  'a bucket gives what a count filled up by the clock would, and says truly when to come back',
  async () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 20 }), steps, (rate, burst, gaps) => {
        // Times in whole intervals of the rate keep the model's fractions exact.
        const unit = 1000 / rate / 4;
        const model = new FilledBucket(rate, burst);
        const bucket = new TokenBucket(rate, burst);
        const buckets = new TokenBuckets(rate, burst);
        let now = 0;
        for (const gap of gaps) {
          now += (gap % 8) * unit;
          const retryMs = bucket.take(now);
          if (buckets.take('key', now) !== retryMs || model.take(now) !== (retryMs === 0)) return false;
        }
        const retryMs =
          Array.from({ length: burst + 1 }, () => bucket.take(now)).findLast((ms) => ms > 0) ?? 0;
        return retryMs > 0 && bucket.take(now + retryMs) === 0;
      }),
      { numRuns: 500 },
    );
  },
);

t.test('a rate of 0 is no limit', async (t) => {
  const bucket = new TokenBucket(0);
  const buckets = new TokenBuckets(0);
  const limits = new SharedLimits(createSharedLimits(1, 1), 0, none);
  for (let take = 0; take < 10_000; take += 1) {
    if (bucket.take(5) || buckets.take('a', 5) || limits.takeConnect('a', 5) || limits.takeRequest('a', 5)) {
      t.fail('it was limited');
    }
    if (limits.enter('a') !== 'admitted') t.fail('it was refused');
  }
  t.equal(buckets.size, 0);
  t.equal(limits.connections, 10_000);
});

t.test('buckets that are full again are forgotten, and there are never more than the maximum', async (t) => {
  const buckets = new TokenBuckets(1, 2, 100);
  for (let key = 0; key < 1000; key += 1) buckets.take(`k${key}`, 0);
  t.equal(buckets.size, 100);
  t.equal(buckets.take('k999', 0), 0);
  t.equal(buckets.take('k999', 0), 1000, 'the newest are still known');
  for (let key = 0; key < 100; key += 1) buckets.take('late', 60_000 + key * 1000);
  t.equal(buckets.size, 1);
});

t.test('shared rates behave as one bucket, and still after years', async (t) => {
  const limits = new SharedLimits(createSharedLimits(1, 99), 0, { ...none, requestsPerSecondPerIp: 50 });
  const year = 365 * 86_400_000;
  for (const start of [0, year, 10 * year]) {
    const bucket = new TokenBucket(50);
    for (let step = 0; step < 500; step += 1) {
      const now = start + Math.floor(step / 3) * 10;
      const given = limits.takeRequest('1.2.3.4', now + 1e6);
      if (given !== bucket.take(now + 1e6)) t.fail(`step ${step}: ${given}`);
    }
  }
  t.equal(limits.takeConnect('1.2.3.4', 0), 0, 'connects and requests are counted apart');
});

t.test('an address has its own limit, the node has one for all, and a refusal counts nowhere', async (t) => {
  const buffer = createSharedLimits(2, 7);
  const limits = { ...none, connections: 5, connectionsPerIp: 3 };
  const [one, two] = [new SharedLimits(buffer, 0, limits), new SharedLimits(buffer, 1, limits)];
  t.strictSame(
    [one.enter('a'), two.enter('a'), one.enter('a'), two.enter('a')],
    ['admitted', 'admitted', 'admitted', 'ip_full'],
  );
  t.strictSame([one.enter('b'), two.enter('b'), one.enter('b')], ['admitted', 'admitted', 'node_full']);
  t.equal(one.connections, 5);
  two.leave('b');
  t.equal(two.enter('a'), 'ip_full');
  t.equal(one.enter('b'), 'admitted');
  t.throws(() => two.leave('b'), /had not entered/);
});

t.test('the connections of a thread that died are given back', async (t) => {
  const buffer = createSharedLimits(2, 7);
  const limits = { ...none, connectionsPerIp: 3 };
  const [one, two] = [new SharedLimits(buffer, 0, limits), new SharedLimits(buffer, 1, limits)];
  one.enter('a');
  two.enter('a');
  two.enter('a');
  two.enter('b');
  releaseThread(buffer, 1);
  t.equal(one.connections, 1);
  t.strictSame([one.enter('a'), one.enter('a'), one.enter('a')], ['admitted', 'admitted', 'ip_full']);
});

t.test('over real threads exactly the limit is admitted', async (t) => {
  const buffer = createSharedLimits(4, 123);
  const limits = { ...none, connectionsPerIp: 1000, connectsPerSecondPerIp: 250 };
  const workers = Array.from({ length: 4 }, (_, thread) => {
    return new Worker(new URL('./limits-worker.ts', import.meta.url), {
      workerData: { buffer, thread, limits },
    });
  });
  const counts = await Promise.all(
    workers.map(async (worker) => {
      const [message] = (await once(worker, 'message')) as [{ entered: number; taken: number }];
      await once(worker, 'exit');
      return message;
    }),
  );
  const sum = (name: 'entered' | 'taken'): number => counts.reduce((total, count) => total + count[name], 0);
  t.equal(sum('entered'), 1000);
  t.equal(sum('taken'), 500, 'the burst is twice the rate');
  t.equal(new SharedLimits(buffer, 0, limits).connections, 1000);
});

const bytes = (...values: number[]): ArrayBuffer => new Uint8Array(values).buffer;

t.test('an address is counted by itself, or by its /64', async (t) => {
  t.equal(limitKeyOfAddress(bytes(10, 0, 0, 255)), '10.0.0.255');
  const mapped = bytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 255);
  t.equal(limitKeyOfAddress(mapped), '10.0.0.255');
  const v6 = bytes(0x20, 1, 0xd, 0xb8, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8);
  t.equal(limitKeyOfAddress(v6), '2001:db8:0:9::/64');
  t.equal(limitKeyOfAddress(bytes()), 'unknown', 'a Unix socket, or a connection that is gone');
});

t.test('text is counted as the same address in bytes is', async (t) => {
  const same: Record<string, string | undefined> = {
    '10.0.0.255': '10.0.0.255',
    ' 10.0.0.255:8080 ': '10.0.0.255',
    '::ffff:10.0.0.255': '10.0.0.255',
    '::FFFF:0a00:00ff': '10.0.0.255',
    '2001:db8:0:9::1': '2001:db8:0:9::/64',
    '2001:DB8:0:9:1:2:3:4': '2001:db8:0:9::/64',
    '[2001:db8:0:9::2]:443': '2001:db8:0:9::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    unknown: undefined,
    '': undefined,
    '1.2.3': undefined,
    '1.2.3.4.5': undefined,
    '01.2.3.4': undefined,
    ':::': undefined,
    '[1.2.3.4': undefined,
    _hidden: undefined,
  };
  for (const [text, key] of Object.entries(same)) t.equal(limitKeyOfText(text), key, text);
  fc.assert(
    fc.property(fc.ipV6(), (text) => /^([0-9a-f:]+::\/64|[\d.]+)$/.test(limitKeyOfText(text) ?? 'none')),
  );
  fc.assert(fc.property(fc.string(), (text) => typeof limitKeyOfText(text) !== 'number'));
});
