import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { checkedBody } from '../../src/store/checked-body.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const limits = { idleMs: 1000, bytesPerSecondMin: 100 };

async function read(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** What is known of a good body. */
function promiseOf(bytes: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

t.test('however it is cut into pieces, the right bytes pass and others never do', async (t) => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(
      bytes,
      fc.nat(),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(3),
      async (good, at, size, how) => {
        const sent = Buffer.from(how === 1 ? good.subarray(0, at % good.length) : good);
        if (how === 2) sent[at % sent.length]! ^= 1 << (at % 8);
        const content = how === 3 ? Buffer.concat([sent, Buffer.from('x')]) : sent;
        const body = new PassThrough();
        const checked = checkedBody(body, promiseOf(good), limits, new VirtualClock());
        for (let from = 0; from < content.length; from += size)
          body.write(content.subarray(from, from + size));
        body.end();
        if (how === 0) t.ok((await read(checked)).equals(good));
        else await t.rejects(read(checked), { code: 'unavailable', cause: { name: 'DifferentBytesError' } });
        t.ok(body.destroyed);
      },
    ),
    { numRuns: 200 },
  );
});

t.test('a server that falls silent is waited for no longer than the limit', async (t) => {
  const clock = new VirtualClock();
  const body = new PassThrough();
  const reading = read(checkedBody(body, { bytes: 10, sha256: undefined }, limits, clock));
  const failed = t.rejects(reading, { code: 'unavailable', cause: { name: 'TimeoutError' } });
  body.write('12345');
  await clock.advance(999);
  t.notOk(body.destroyed);
  await clock.advance(2000);
  await failed;
  t.ok(body.destroyed, 'its connection is given up');
  t.equal(clock.timers, 0);
});

t.test('a reader that takes its time is not cut off', async (t) => {
  const clock = new VirtualClock();
  const pieces = Array.from({ length: 20 }, (_, index) => Buffer.alloc(50_000, index));
  const bytes = Buffer.concat(pieces);
  const checked = checkedBody(Readable.from(pieces), promiseOf(bytes), limits, clock);
  const read: Buffer[] = [];
  for await (const piece of checked) {
    if (read.length < 5) await clock.advance(100 * limits.idleMs);
    read.push(piece as Buffer);
  }
  t.ok(Buffer.concat(read).equals(bytes));
});

t.test('a reader that leaves before it has begun gives the connection back', async (t) => {
  const body = new PassThrough();
  const checked = checkedBody(body, { bytes: 9, sha256: undefined }, limits, new VirtualClock());
  const closed = new Promise((resolve) => body.once('close', resolve));
  checked.destroy();
  await closed;
  t.ok(body.destroyed);
});
