import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import t from 'tap';
import { talkSessions } from '../../bench/history/talk-data.ts';
import { encodeBlock, learnDictionary, SegmentWriter } from '../../src/store/segment.ts';

/** docs/archive-format.md must be enough: these readers share no code with kefu. */

const odd = ['{"session":"x"}', 'null', '{"a":1,"a":2, "\\u0001": "\\ud83d"}'];
const sessions = [...talkSessions({ seed: 21, sessions: 120 })].map(({ session, events }, index) => ({
  session,
  events: [...events.map(({ json }) => json), ...(index % 10 === 0 ? odd : [])],
}));
// It has U+0001 in it, so that the whole session is kept plain.
sessions[3]!.events.push('"\u0001"');
const dictionary = learnDictionary(sessions.map(({ session, events }) => [session, events] as const))!;
const writer = new SegmentWriter();
for (const [index, { session, events }] of sessions.entries()) {
  const given = index % 3 === 0 ? undefined : dictionary;
  writer.add(session, encodeBlock(session, events, given), events.length, () => dictionary);
}
const { content } = writer.finish();
const segment = Buffer.from(content);
const expected = sessions.flatMap(({ events }) => events);

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

function unzstd(bytes: Uint8Array, dictionary?: Uint8Array): string {
  const options = (dictionary === undefined ? {} : { dictionary }) as ZstdOptions;
  return zstdDecompressSync(bytes, options).toString();
}

function readBlock(session: string, block: Buffer, dictionaries: ReadonlyMap<string, Buffer>): string[] {
  const textAt = 13 + block.readUInt32LE(9);
  const text = unzstd(block.subarray(textAt), dictionaries.get(block.toString('hex', 1, 9)));
  if (block[0] === 2) return JSON.parse(text) as string[];
  let idAt = 13;
  const whole = text.replaceAll('\u0003', () => {
    const hex = block.toString('hex', idAt, (idAt += 16));
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  });
  const [senders, kinds, [codes], times, ids, rests] = whole
    .split('\u0001')
    .map((column) => column.split('\u0002')) as [string[], string[], string[], string[], string[], string[]];
  let ms = 0;
  let next = 0;
  return [...codes!].map((code, index) => {
    const item = rests[index]!;
    if (code === ' ') return item;
    const [type, sender] = kinds[code.charCodeAt(0) - 0x21]!.split(' ');
    ms += Number.parseInt(times[next]!, 36);
    const id = ids[next]!;
    next += 1;
    const rest = item[0] === 'T' ? `,"body":{"type":"text","text":"${item.slice(1)}"}}` : item.slice(1);
    const at = new Date(ms).toISOString();
    return `{"session":"${session}","seq":${index + 1},"id":"${id}","type":"${type}","from":${senders[Number(sender)]},"at":"${at}"${rest}`;
  });
}

t.test('a segment is read by its description alone', async (t) => {
  const footer = segment.subarray(-64);
  t.equal(segment.toString('latin1', 0, 8), 'kefuseg1');
  t.equal(footer.toString('latin1', 56), 'kefuend1');
  t.ok(sha256(segment.subarray(0, -64)).equals(footer.subarray(24, 56)));
  const place = Number(footer.readBigUInt64LE(0));
  const index = segment.subarray(place, place + footer.readUInt32LE(8));
  t.ok(sha256(index).subarray(0, 8).equals(footer.subarray(16, 24)));
  const found = JSON.parse(unzstd(index)) as {
    version: number;
    dictionaries: [string, number, number][];
    sessions: [string, number, number, number, string][];
  };
  t.equal(found.version, 1);
  t.equal(found.sessions.length, footer.readUInt32LE(12));
  const dictionaries = new Map(
    found.dictionaries.map(([id, at, length]) => [id, segment.subarray(at, at + length)]),
  );
  for (const [id, bytes] of dictionaries) t.equal(sha256(bytes).toString('hex', 0, 8), id);
  const events: string[] = [];
  const kinds = new Set<number>();
  for (const [session, at, length, lastSeq, checksum] of found.sessions) {
    const block = segment.subarray(at, at + length);
    kinds.add(block[0]!);
    t.equal(sha256(block).toString('hex', 0, 8), checksum);
    const own = readBlock(session, block, dictionaries);
    t.equal(own.length, lastSeq);
    events.push(...own);
  }
  t.strictSame(events, expected);
  t.same(kinds, new Set([1, 2]), 'both kinds of blocks were read');
});

/** Python has zstd since 3.14; before, somebody must have added it. */
function missing(): string | false {
  const python = spawnSync('python3', ['-c', 'import compression.zstd']);
  if (python.error !== undefined) return 'there is no python3';
  if (python.status === 0 || spawnSync('python3', ['-c', 'import zstandard']).status === 0) return false;
  return spawnSync('zstd', ['--version']).status === 0 ? false : 'this python3 has no zstd';
}

t.test('examples/read-archive.py reads a segment', { skip: missing() }, async (t) => {
  const path = join(t.testdir(), 'segment');
  writeFileSync(path, segment);
  const reader = fileURLToPath(new URL('../../examples/read-archive.py', import.meta.url));
  const run = (...args: string[]): string =>
    execFileSync('python3', [reader, path, ...args], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: { ...process.env, PYTHONUTF8: '1' },
    });
  t.equal(run(), `${expected.join('\n')}\n`);
  const [{ session, events }] = sessions as [(typeof sessions)[0]];
  t.equal(run(session), `${events.join('\n')}\n`);
});
