import { Packr } from 'msgpackr';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import type { Envelope, ThreadId } from '../../src/actors/engine/types.ts';
import type { NatsEvent, NatsLink } from '../../src/cluster/nats-connection.ts';
import { threadSubject } from '../../src/cluster/nats-subjects.ts';
import { ChunkAssembler, HeaderWriter, readFrame, type Frame } from '../../src/cluster/wire-chunks.ts';
import { NatsWire } from '../../src/cluster/wire-nats.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { NatsServers } from '../support/nats.ts';

const servers = await NatsServers.start();
t.teardown(() => servers.stop());

interface End {
  readonly wire: NatsWire;
  readonly link: NatsLink;
  readonly got: { from: ThreadId; envelopes: readonly Envelope[] }[];
  readonly events: NatsEvent[];
}

async function end(
  thread: ThreadId,
  { outMaxBytes, urls = servers.urls }: { outMaxBytes?: number; urls?: string[] } = {},
): Promise<End> {
  const events: NatsEvent[] = [];
  const link = await servers.connect({ servers: urls }, (event) => events.push(event));
  t.teardown(() => link.close());
  const got: End['got'] = [];
  const wire = new NatsWire({
    link,
    cluster: 'test',
    thread,
    clock: realClock,
    deliver: (from, envelopes) => void got.push({ from, envelopes }),
    ...(outMaxBytes === undefined ? {} : { outMaxBytes }),
  });
  await link.client.flush();
  return { wire, link, got, events };
}

function tell(message: unknown): Envelope {
  return { kind: 'session', key: '0192', message };
}

const a = await end('node a~1/0');
const b = await end('näme.b~1/1');
const numbersOf = (it: End): unknown[] => it.got.flatMap(({ envelopes }) => envelopes.map((e) => e.message));

t.test('batches arrive whole and in order', async (t) => {
  for (let batch = 0; batch < 100; batch += 1) {
    const envelopes = Array.from({ length: 50 }, (_, index) => tell(batch * 50 + index));
    t.equal(a.wire.send('näme.b~1/1', envelopes), true);
  }
  await until('all are there', () => b.wire.counters.received === 5000);
  t.same(
    numbersOf(b),
    Array.from({ length: 5000 }, (_, index) => index),
  );
  t.equal(b.got.length, 100, 'as they were sent together');
  t.ok(
    b.got.every(({ from }) => from === 'node a~1/0'),
    'with their sender',
  );
  t.equal(a.wire.counters.sent, 5000);
  t.equal(a.wire.counters.sentBytes, b.wire.counters.receivedBytes);
  await until('all is confirmed', () => a.wire.outBytes === 0);
});

t.test('values arrive as they were', async (t) => {
  b.got.length = 0;
  const envelopes: Envelope[] = [
    {
      kind: 'agent',
      key: '客服 1',
      message: { type: 'x', gone: undefined, nothing: null, list: [undefined, 1] },
      ask: 7,
    },
    { answer: 7, value: undefined },
    { answer: 8, value: { at: 2 ** 45, half: 0.5, no: false, text: '你好 👋', deep: { a: [{ b: [] }] } } },
    { answer: 9, refusal: { code: 'busy', message: 'later', retryAfterMs: 5 } },
    tell({ constructor: 'mine', toJSON: 1, hasOwnProperty: 2, length: -1, '': 0 }),
    tell(undefined),
  ];
  a.wire.send('näme.b~1/1', envelopes);
  await until('they are there', () => b.got.length === 1);
  t.strictSame(b.got[0]!.envelopes, envelopes);
});

t.test('what is larger than a message of NATS comes all the same, in its place', async (t) => {
  b.got.length = 0;
  const large = '客'.repeat(1_000_000);
  const middle = 'x'.repeat(300_000);
  const envelopes = [
    tell('first'),
    tell(large),
    ...Array.from({ length: 10 }, () => tell(middle)),
    tell('last'),
  ];
  t.equal(a.wire.send('näme.b~1/1', envelopes), true);
  await until('all are there', () => numbersOf(b).length === envelopes.length);
  t.ok(
    numbersOf(b).every((it, index) => it === envelopes[index]!.message),
    'in order and whole',
  );
  t.equal(a.wire.counters.chunked, 1);
  t.equal(b.wire.counters.incomplete, 0);
});

t.test('what nobody of us has written is counted, and never thrown', async (t) => {
  b.got.length = 0;
  const { client } = a.link;
  const subject = threadSubject('test', 'näme.b~1/1');
  const header = new HeaderWriter('x');
  const framed = (body: Uint8Array, index = 0, count = 1): Uint8Array => {
    const message = Buffer.concat([Buffer.alloc(header.bytes), body]);
    header.write(message, 1, index, count);
    return message;
  };
  const pack = (value: unknown): Uint8Array => new Packr({ useRecords: true }).pack(value);
  const before = { ...b.wire.counters };
  const garbage: Uint8Array[] = [
    new Uint8Array(0),
    Buffer.from([1]),
    Buffer.from([0, 1, 2]),
    Buffer.from([1, 255, 0, 0]),
    Buffer.from([1, 2, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1]),
    framed(pack([]), 3, 2),
    framed(pack([]), 0, 0),
    framed(Buffer.from([0xc1])),
    framed(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])),
    framed(Buffer.alloc(0)),
    ...[null, 'x', {}, [1], [null], [{}], [{ kind: 1, key: 'k' }], [{ kind: 'k' }]].map((it) =>
      framed(pack(it)),
    ),
    framed(pack([{ kind: 'k', key: 'k', ask: 'x' }])),
  ];
  for (const message of garbage) client.publish(subject, message);
  const newer = framed(pack([tell(1)]));
  newer[0] = 2;
  client.publish(subject, newer);
  for (let at = 0; at < 2000; at += 1) {
    const noise = Uint8Array.from(
      { length: at % 97 },
      (_, index) => (at * 31 + index * 17 + ((at * index) >> 3)) & 0xff,
    );
    client.publish(subject, at % 2 === 0 ? framed(noise) : noise);
  }
  client.publish(subject, framed(pack([tell('good')])));
  await until('the good one is there', () => numbersOf(b).includes('good'));
  t.ok(b.wire.counters.foreign > before.foreign, 'a newer version');
  t.ok(b.wire.counters.garbage >= before.garbage + garbage.length, 'all of the garbage');
});

t.test('chunks: what is incomplete, too old or too much is given up', async (t) => {
  const chunk = (from: string, batch: number, index: number, count = 3): Frame => ({
    from,
    batch,
    index,
    count,
    body: new Uint8Array([batch, index]),
  });
  const chunks = new ChunkAssembler({ assembliesMax: 2, bytesMax: 10, ageMaxMs: 5000 });
  t.equal(chunks.add(chunk('a', 1, 0), 0), undefined);
  t.equal(chunks.add(chunk('b', 9, 0), 0), undefined);
  t.equal(chunks.add(chunk('a', 1, 1), 0), undefined);
  t.same(chunks.add(chunk('a', 1, 2), 0), new Uint8Array([1, 0, 1, 1, 1, 2]));
  t.equal(chunks.add(chunk('b', 9, 2), 0), undefined, 'a gap');
  t.equal(chunks.dropped, 1);
  t.equal(chunks.add(chunk('b', 9, 1), 0), undefined, 'the rest of it is not counted again');
  t.equal(chunks.dropped, 1);
  chunks.add(chunk('b', 10, 0), 0);
  chunks.add(chunk('b', 11, 0), 100);
  t.equal(chunks.dropped, 2, 'the next batch ends the last one');
  t.equal(chunks.bytes, 2);
  chunks.dropOld(5099);
  t.equal(chunks.dropped, 2);
  chunks.dropOld(5100);
  t.equal(chunks.dropped, 3, 'too old');
  for (const from of ['a', 'b', 'c']) chunks.add(chunk(from, 1, 0), 6000);
  t.equal(chunks.dropped, 4, 'too many: the oldest goes');
  for (let index = 1; index < 6; index += 1) chunks.add(chunk('c', 1, index, 3), 6000);
  t.ok(chunks.bytes <= 10);
  for (let index = 0; index < 9; index += 1) chunks.add(chunk('d', 2, index, 9), 6000);
  t.ok(chunks.bytes <= 10, 'too large, even alone');
});

t.test('a header is read as it was written', async (t) => {
  const header = new HeaderWriter('näme.b~1/1');
  const message = new Uint8Array(header.bytes + 2);
  header.write(message, 0xfedcba98, 0x1234, 0xffff);
  const { body, ...rest } = readFrame(message)!;
  t.same(rest, { from: 'näme.b~1/1', batch: 0xfedcba98, index: 0x1234, count: 0xffff });
  t.equal(body.length, 2);
  t.throws(() => new HeaderWriter('x'.repeat(250)));
});

t.test('a server that hangs is not sent to without end, and is left for another one', async (t) => {
  const other = await NatsServers.start();
  t.teardown(() => other.stop());
  await other.kill(0);
  // More than the kernel's buffers hold, so that the client itself waits to write.
  const outMaxBytes = 32 * 2 ** 20;
  const c = await end('c~1/0', { outMaxBytes, urls: [...other.urls, ...servers.urls] });
  await other.restart(0);
  await servers.pause(0);
  t.teardown(() => servers.resume(0));
  const batch = Array.from({ length: 10 }, () => tell('x'.repeat(10_000)));
  let accepted = 0;
  while (c.wire.send('näme.b~1/1', batch) && accepted < 1000) accepted += 1;
  t.ok(accepted >= 325 && accepted <= 336, `${accepted} of 100 kB`);
  t.ok(c.wire.outBytes <= outMaxBytes);
  t.equal(c.wire.counters.refused, 10);
  t.equal(c.link.connected, true);
  await until('it has gone to the other one', () => c.events.length === 2, 10_000);
  t.match(c.events, [
    { type: 'disconnected', data: { reason: 'no answer to pings' } },
    { type: 'connected', data: { server: other.urls[0]!.slice(7) } },
  ]);
  t.equal(c.link.connected, true);
  t.equal(c.wire.outBytes, 0);
  t.equal(c.wire.send('näme.b~1/1', [tell('again')]), true);
  await until('that one has it', () => c.wire.outBytes === 0);
  servers.resume(0);
  await until('the others are back', () => a.link.connected && b.link.connected, 8000);
});

t.test('a server that was killed and came back', async (t) => {
  b.got.length = 0;
  await servers.kill(0);
  await until('both notice', () => !a.link.connected && !b.link.connected);
  t.equal(a.wire.send('näme.b~1/1', [tell('lost')]), false);
  await servers.restart(0);
  await until('both are back', () => a.link.connected && b.link.connected);
  await b.link.client.flush();
  t.equal(a.wire.send('näme.b~1/1', [tell('again')]), true);
  await until('it comes', () => b.got.length > 0);
  t.same(numbersOf(b), ['again']);
});
