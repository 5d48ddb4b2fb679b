import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import t from 'tap';
import { KefuError } from '../../src/core/errors.ts';
import { chooseCodec, encodeJsonText, frameDepthMax, jsonCodec, msgpackCodec } from '../../src/net/codec.ts';
import type { Codec } from '../../src/net/codec.ts';

const codecs = [jsonCodec, msgpackCodec];

function bufferOf(frame: string | Uint8Array): ArrayBuffer {
  return new Uint8Array(typeof frame === 'string' ? Buffer.from(frame) : frame).buffer;
}

/** The decoded frame, or the code that it was refused with; anything else thrown is a bug. */
function decoded(codec: Codec, frame: string | Uint8Array): object | string {
  try {
    return codec.decode(bufferOf(frame), codec.binary);
  } catch (error) {
    if (error instanceof KefuError) return error.code;
    throw error;
  }
}

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** {"a": …} as MessagePack. */
const msgpackField = (value: string): Uint8Array => hex(`81 a1 61 ${value}`);

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => text !== '__proto__'),
  fc.constantFrom('constructor', 'toJSON', 'hasOwnProperty', 'prototype', 'length', '0', 'then'),
);
const scalar = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    0,
    -1,
    127,
    128,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 31) - 1,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
  ),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'binary-ascii' }),
);
const json = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, scalar, tie('list'), tie('map')),
  list: fc.array(tie('value'), { maxLength: 20 }),
  map: fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true }),
}));
const frame = json.map;

for (const codec of codecs) {
  t.test(`${codec.name}: what is encoded is decoded to the same`, async () => {
    fc.assert(
      fc.property(frame, (value) => {
        assert.deepEqual(decoded(codec, codec.encode(value)), JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 300 },
    );
  });

  t.test(`${codec.name}: a frame that is cut short anywhere is refused as bad_frame`, async () => {
    fc.assert(
      fc.property(frame, fc.nat(), (value, at) => {
        const bytes = Buffer.from(codec.encode(value) as string);
        assert.equal(decoded(codec, bytes.subarray(0, at % bytes.length)), 'bad_frame');
      }),
      { numRuns: 200 },
    );
  });

  t.test(
    `${codec.name}: random and damaged bytes are an object or bad_frame, never another error`,
    async (t) => {
      const damaged = fc
        .tuple(frame, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
        .map(([value, hits]) => {
          const bytes = Buffer.from(codec.encode(value) as string);
          for (const [at, byte] of hits) bytes[at % bytes.length] = byte;
          return new Uint8Array(bytes);
        });
      fc.assert(
        fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
          const result = decoded(codec, bytes);
          if (result === 'bad_frame') return;
          assert.ok(typeof result === 'object' && !Array.isArray(result));
          // Whatever came through is JSON's: it can be stored, and walked without fear of its depth.
          JSON.parse(JSON.stringify(result));
        }),
        { numRuns: 1000 },
      );
      t.equal(Object.keys(Object.prototype).length, 0, 'no prototype was touched');
    },
  );

  t.test(`${codec.name}: undefined fields are left out`, async (t) => {
    const bytes = codec.encode({ t: 'ack', ref: undefined, nested: { a: undefined, b: 1 } });
    t.strictSame(decoded(codec, bytes), { t: 'ack', nested: { b: 1 } });
  });

  t.test(`${codec.name}: ${frameDepthMax} levels pass, one more does not`, async (t) => {
    const nest = (levels: number): object => {
      let value: unknown = 1;
      for (let level = 1; level < levels; level += 1) value = level % 2 ? [value] : { a: value };
      return { a: value };
    };
    t.type(decoded(codec, codec.encode(nest(frameDepthMax))), 'object');
    t.equal(decoded(codec, codec.encode(nest(frameDepthMax + 1))), 'bad_frame');
  });

  t.test(`${codec.name}: what is decoded does not live in the message's memory`, async (t) => {
    const text = 'the memory of a message is reused after its callback, 消息';
    const buffer = bufferOf(codec.encode({ t: 'say', body: text, long: text.repeat(20) }));
    const value = codec.decode(buffer, codec.binary);
    new Uint8Array(buffer).fill(0x41);
    t.strictSame(value, { t: 'say', body: text, long: text.repeat(20) });
  });

  t.test(`${codec.name}: a frame that isn't an object is refused`, async (t) => {
    for (const value of [[], [1], 'text', 1, null, true]) {
      t.equal(decoded(codec, codec.encode(value as object)), 'bad_frame', JSON.stringify(value));
    }
  });
}

t.test('each subprotocol takes its own kind of message only', async (t) => {
  t.throws(() => jsonCodec.decode(bufferOf('{}'), true), { code: 'bad_frame' });
  t.throws(() => msgpackCodec.decode(bufferOf(hex('80')), false), { code: 'bad_frame' });
});

t.test('JSON that is not UTF-8, or not JSON, is refused without repeating it', async (t) => {
  for (const bytes of [
    hex('7b2261223a22ff227d'),
    hex('7b2261223a22eda080227d'),
    hex('efbbbf7b7d'),
    hex(''),
  ]) {
    t.equal(decoded(jsonCodec, bytes), 'bad_frame', Buffer.from(bytes).toString('hex'));
  }
  try {
    jsonCodec.decode(bufferOf('{"t":"say","body":"my secret" oops}'), false);
    t.fail('it was taken');
  } catch (error) {
    t.notMatch((error as Error).message, /secret|oops/);
  }
});

t.test('brackets in strings do not count as depth, and a hostile nest is refused quickly', async (t) => {
  const text = '[{'.repeat(1000);
  t.strictSame(decoded(jsonCodec, JSON.stringify({ a: text, b: '\\"[' })), { a: text, b: '\\"[' });
  t.equal(decoded(jsonCodec, '['.repeat(65_000)), 'bad_frame');
  t.equal(decoded(jsonCodec, '{"a":'.repeat(13_000)), 'bad_frame');
  t.equal(decoded(msgpackCodec, new Uint8Array(65_000).fill(0x91)), 'bad_frame');
});

t.test('a __proto__ key is a harmless field', async (t) => {
  const value = decoded(jsonCodec, '{"__proto__":{"t":"say"},"constructor":{"prototype":{"x":1}}}');
  t.notOk('t' in (value as object));
  const packed = decoded(msgpackCodec, hex('81 a9 5f5f70726f746f5f5f 81 a1 74 a1 78'));
  t.notOk('t' in (packed as object));
  t.equal(Reflect.get({}, 'x'), undefined);
});

t.test('MessagePack that JSON could not say is refused', async (t) => {
  const refused: Record<string, string> = {
    'bin 8': 'c4 01 00',
    'bin 32 of 4 GiB': 'c6 ffffffff',
    'ext 8': 'c7 01 05 00',
    "fixext 1, msgpackr's records": 'd4 72 40 91 a1 61',
    'fixext 4, a timestamp': 'd6 ff 00000000',
    'the unused c1': 'c1',
    'uint 64 over 2^53 - 1': 'cf 0020000000000000',
    'int 64 under -(2^53 - 1)': 'd3 ffe0000000000000',
    NaN: 'cb 7ff8000000000000',
    infinity: 'ca 7f800000',
    'a key that is a number': '81 01 02',
    'a key that is a map': '81 80 02',
    'a string that is not UTF-8': 'a1 ff',
    'a lone surrogate': 'a3 eda080',
    'array 32 of 4 thousand million': 'dd ffffffff',
    'map 32 of 4 thousand million': 'df ffffffff',
    'str 32 of 4 GiB': 'db ffffffff',
    'bytes after the value': '01 01',
  };
  for (const [name, value] of Object.entries(refused)) {
    t.equal(decoded(msgpackCodec, msgpackField(value)), 'bad_frame', name);
  }
});

t.test('MessagePack of every form that means the same is taken', async (t) => {
  const taken: Record<string, unknown> = {
    'd9 02 6869': 'hi',
    'da 0002 6869': 'hi',
    'db 00000002 6869': 'hi',
    'cd 0001': 1,
    'ce 00000001': 1,
    'cf 001fffffffffffff': Number.MAX_SAFE_INTEGER,
    'd3 ffe0000000000001': Number.MIN_SAFE_INTEGER,
    'd0 ff': -1,
    'd1 ffff': -1,
    'd2 ffffffff': -1,
    'ca 3fc00000': 1.5,
    'dc 0001 c0': [null],
    'dd 00000001 c3': [true],
    'de 0001 a162 c2': { b: false },
    'df 00000001 a162 90': { b: [] },
    e0: -32,
    '4a': 74,
  };
  for (const [value, meaning] of Object.entries(taken)) {
    t.strictSame(decoded(msgpackCodec, msgpackField(value)), { a: meaning }, value);
  }
});

t.test('what is encoded as MessagePack holds integers as integers and no extensions', async (t) => {
  t.equal(
    Buffer.from(msgpackCodec.encode({ a: 2 ** 40 }) as Uint8Array).toString('hex'),
    '81a161d30000010000000000',
  );
  t.equal(
    Buffer.from(msgpackCodec.encode({ a: [1.5] }) as Uint8Array).toString('hex'),
    '81a16191cb3ff8000000000000',
  );
  t.equal(Buffer.from(msgpackCodec.encode({ a: [undefined] }) as Uint8Array).toString('hex'), '81a16191c0');
  t.equal(Buffer.from(msgpackCodec.encode({ constructor: 1, toJSON: 2 }) as Uint8Array)[0], 0x82);
});

t.test('events kept as JSON text become the MessagePack of the same value', async (t) => {
  const reader = new Packr({ useRecords: false });
  fc.assert(
    fc.property(frame, (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(decoded(msgpackCodec, encodeJsonText(text)), JSON.parse(text));
    }),
    { numRuns: 100 },
  );
  const [first, second] = [encodeJsonText('{"a":1}'), encodeJsonText('{"b":2}')];
  t.equal(jsonCodec.encodeEvent('{"a":1}'), '{"a":1}');
  t.strictSame(msgpackCodec.encodeEvent('{"a":1}'), first);
  t.strictSame([reader.unpack(first), reader.unpack(second)], [{ a: 1 }, { b: 2 }], 'each has its own bytes');
});

t.test('the codec follows the subprotocols that are offered', async (t) => {
  t.equal(chooseCodec(''), jsonCodec);
  t.equal(chooseCodec('kefu.msgpack.v1, kefu.json.v1'), msgpackCodec);
  t.equal(chooseCodec('other,kefu.json.v1'), jsonCodec);
  t.equal(chooseCodec('other'), undefined);
});
