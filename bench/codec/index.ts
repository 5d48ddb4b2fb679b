import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Packr } from 'msgpackr';
import { messageEvent } from '../../src/actors/session-events.ts';
import { jsonCodec, msgpackCodec, type Codec } from '../../src/net/codec.ts';
import { EventFrames } from '../../src/net/event-frames.ts';
import { parseFrame } from '../../src/net/frames-in.ts';
import type { MessageBody, TextBody } from '../../src/protocol/bodies.ts';
import { timeText } from '../../src/protocol/session-view.ts';
import { Flags } from '../support/flags.ts';
import { machine } from '../support/machine.ts';
import { machineLine, median, none, spread, table } from '../support/report.ts';
import { makeFrames, type Frames } from './frames.ts';

/**
 * bench/codec: what a frame costs in either codec, by the code that the gateway runs, against the plain libraries, which check
 * nothing: no depth, no UTF-8, no field. One thread, all ways in turn, several rounds.
 */
export interface Plan {
  readonly rounds: number;
  /** Of one way with one kind of frame, a round. */
  readonly sliceMs: number;
}

const whole: Plan = { rounds: 5, sliceMs: 80 };
export const smoke: Plan = { rounds: 1, sliceMs: 4 };

export interface Report {
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
  readonly results: Readonly<Record<string, readonly number[]>>;
}

const ways = ['JSON', 'msgpack', 'plain JSON', 'plain msgpackr'] as const;
type Way = (typeof ways)[number];
/** Handles frame number `index`, and returns a number that a lazier one would not have. */
type Work = (index: number) => number;
interface Figure {
  readonly name: string;
  readonly work: Partial<Record<Way, Work>>;
}

const head = ['frames a second, one thread', ...ways];
/** Nothing is counted of these: after one alone the compiler is still at work. */
const warmRounds = 3;
const scratch = Buffer.alloc(2 ** 16);

/** Texts count when they are bytes, as the socket makes them: one put together from parts is cheap until then. */
function wire(out: string | Uint8Array): number {
  return typeof out === 'string' ? scratch.write(out) : out.length;
}

const packr = new Packr({ useRecords: false });

export async function measure(
  plan: Plan,
  progress: (row: readonly string[]) => void = () => undefined,
): Promise<Report> {
  const kinds = makeFrames();
  for (const frames of kinds) compare(frames);
  const figures = kinds.flatMap(figuresOf);
  const results: Record<string, number[]> = {};
  let handled = 0;
  let checksum = 0;
  for (let round = -warmRounds; round < plan.rounds; round += 1)
    for (const { name, work } of figures)
      for (const way of ways) {
        const one = work[way];
        if (one === undefined) continue;
        const slice = timed(one, plan.sliceMs);
        handled += slice.count;
        checksum = (checksum + slice.sum) % 2 ** 48;
        if (round >= 0) (results[`${name}, ${way}`] ??= []).push(slice.perSecond);
      }
  const rows = [...figures.map(({ name }) => row(name, results)), ...kinds.flatMap(sizesOf)];
  rows.forEach(progress);
  const notes = [
    `${handled.toLocaleString('en')} frames, first each compared with what it was made from; checksum ${checksum.toString(16)}; ` +
      `${plan.rounds} rounds after ${warmRounds} to warm up, median and range.`,
    `Load average at the end: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}.`,
  ];
  return { rows, notes, results };
}

function figuresOf(frames: Frames): Figure[] {
  const { name, says, made, events, eventObjects, acks } = frames;
  const said = (codec: Codec, bytes: readonly ArrayBuffer[]): Work => {
    return (index) => {
      const frame = parseFrame(codec.decode(bytes[index]!, codec.binary));
      if (frame.t !== 'say' || !isText(frame.body)) throw new Error('another frame than was sent');
      return frame.body.text.length;
    };
  };
  const textOf = (say: unknown): number => (say as { body: string }).body.length;
  return [
    {
      name: `say in, ${name}`,
      work: {
        JSON: said(jsonCodec, says.json),
        msgpack: said(msgpackCodec, says.msgpack),
        'plain JSON': (index) => textOf(JSON.parse(Buffer.from(says.json[index]!).toString())),
        'plain msgpackr': (index) => textOf(packr.unpack(Buffer.from(says.msgpack[index]!))),
      },
    },
    {
      name: `… event made by the session, ${name}`,
      work: {
        JSON: (index) => {
          const it = made[index]!;
          const event = messageEvent(it.session, it.seq, it.at, it.from.id, it.fromJson, it.id, it.body);
          return wire(event.json);
        },
        'plain JSON': (index) => {
          const { session, seq, id, from, at, body } = made[index]!;
          return wire(JSON.stringify({ session, seq, id, type: 'message', from, at: timeText(at), body }));
        },
      },
    },
    {
      name: `… event out, ${name}`,
      work: {
        JSON: (index) => wire(new EventFrames([events[index]!]).at(0, jsonCodec)),
        msgpack: (index) => wire(new EventFrames([events[index]!]).at(0, msgpackCodec)),
        'plain JSON': (index) => wire(JSON.stringify(eventObjects[index]!)),
        'plain msgpackr': (index) => wire(packr.pack(eventObjects[index]!)),
      },
    },
    {
      name: `… ack out, ${name}`,
      work: {
        JSON: (index) => wire(jsonCodec.encode(acks[index]!)),
        msgpack: (index) => wire(msgpackCodec.encode(acks[index]!)),
        'plain JSON': (index) => wire(JSON.stringify(acks[index]!)),
        'plain msgpackr': (index) => wire(packr.pack(acks[index]!)),
      },
    },
  ];
}

function isText(body: MessageBody): body is TextBody {
  return body.type === 'text';
}

/** Frames come 512 to a look at the clock. */
const framesPerLook = 512;

function timed(work: Work, forMs: number): { perSecond: number; count: number; sum: number } {
  const started = performance.now();
  let count = 0;
  let sum = 0;
  let now = started;
  for (; now - started < forMs; now = performance.now()) {
    for (let index = 0; index < framesPerLook; index += 1) sum += work(index);
    count += framesPerLook;
  }
  return { perSecond: (count / (now - started)) * 1000, count, sum };
}

/** Before anything is timed: what goes through both codecs is what was said. */
function compare({ texts, says, events, eventObjects }: Frames): void {
  for (const [index, text] of texts.entries()) {
    for (const codec of [jsonCodec, msgpackCodec]) {
      const bytes = (codec.binary ? says.msgpack : says.json)[index]!;
      const frame = parseFrame(codec.decode(bytes, codec.binary));
      const isSaid = frame.t === 'say' && isText(frame.body) && frame.body.text === text;
      const out = Buffer.from(new EventFrames([events[index]!]).at(0, codec));
      const event: unknown = codec.binary ? packr.unpack(out) : JSON.parse(out.toString());
      if (!isSaid || JSON.stringify(event) !== JSON.stringify(eventObjects[index]))
        throw new Error(`${codec.name} does not say what was said: ${text}`);
    }
  }
}

function row(name: string, results: Readonly<Record<string, readonly number[]>>): string[] {
  return [name, ...ways.map((way) => spread(results[`${name}, ${way}`] ?? []))];
}

/** Bytes on the wire, without the two to eight that WebSocket puts before them. */
function sizesOf({ name, says, events, acks }: Frames): string[][] {
  const size = (out: string | Uint8Array): number => Buffer.byteLength(out);
  const sizes = (json: readonly number[], msgpack: readonly number[]): string[] => [
    median(json).toLocaleString('en'),
    median(msgpack).toLocaleString('en'),
    none,
    none,
  ];
  const lengths = (frames: readonly ArrayBuffer[]): number[] => frames.map((it) => it.byteLength);
  const eventSizes = (codec: Codec): number[] =>
    events.map((event) => size(new EventFrames([event]).at(0, codec)));
  const ackSizes = (codec: Codec): number[] => acks.map((ack) => size(codec.encode(ack)));
  return [
    [`bytes of a say, ${name}, median`, ...sizes(lengths(says.json), lengths(says.msgpack))],
    ['… of its event', ...sizes(eventSizes(jsonCodec), eventSizes(msgpackCodec))],
    ['… of its ack', ...sizes(ackSizes(jsonCodec), ackSizes(msgpackCodec))],
  ];
}

const usage = 'npm run bench codec -- [--smoke] [--rounds N] [--json FILE]\n';

export async function run(args: readonly string[]): Promise<void> {
  const flags = new Flags(args, usage, ['rounds']);
  const base = flags.isSmoke ? smoke : whole;
  const plan = { ...base, rounds: flags.number('rounds', base.rounds) };
  const report = await measure(plan, (line) => process.stderr.write(`${line.join(' | ')}\n`));
  const lines = [machineLine(), '', ...table(head, report.rows), '', ...report.notes];
  process.stdout.write(`\n${lines.join('\n')}\n`);
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify({ machine: machine(), plan, ...report }, null, 2)}\n`);
}
