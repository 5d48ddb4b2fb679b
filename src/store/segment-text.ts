/**
 * A session's events without what can be worked out: a text of columns, and the UUIDs in it as 16 bytes each. Nothing is
 * lost: an event that is not written as kefu writes them stays as it is. docs/archive-format.md has the layout.
 *
 *     senders · codes (type and sender of each event) · times · ids · rests
 *
 * Columns are set apart by U+0001, items by U+0002, a UUID's place is U+0003: control characters can't stand in JSON.
 */
export interface SessionText {
  readonly text: string;
  readonly uuids: Uint8Array;
}

const column = '\u0001';
const item = '\u0002';
const uuidMark = '\u0003';
const uuidPattern = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
// eslint-disable-next-line no-control-regex
const control = /[\u0001-\u0003]/;
/** Rests that are nearly all there are: what stands between the two is the message's text, as it is in JSON. */
const textHead = ',"body":{"type":"text","text":"';
const textTail = '"}}';
const firstCode = 0x21;
const codesMax = 0x7e - firstCode;
/** The code of an event that is kept whole. */
const whole = ' ';

/** undefined: it holds what can't be told apart from the layout, and must be kept as it is. */
export function packSession(session: string, events: readonly string[]): SessionText | undefined {
  const senders: string[] = [];
  const kinds: string[] = [];
  let codes = '';
  const times: string[] = [];
  const ids: string[] = [];
  const rests: string[] = [];
  let lastAt = 0;
  for (const [index, json] of events.entries()) {
    if (control.test(json)) return undefined;
    const parts = split(session, index + 1, json);
    const code = parts === undefined ? -1 : codeOf(parts, senders, kinds);
    if (parts === undefined || code >= codesMax) {
      codes += whole;
      rests.push(json);
      continue;
    }
    codes += String.fromCharCode(firstCode + code);
    times.push((parts.at - lastAt).toString(36));
    lastAt = parts.at;
    ids.push(parts.id);
    rests.push(shortened(parts.rest));
  }
  const columns = [
    senders.join(item),
    kinds.join(item),
    codes,
    times.join(item),
    ids.join(item),
    rests.join(item),
  ];
  const uuids: string[] = [];
  const text = columns.join(column).replace(uuidPattern, (uuid) => {
    uuids.push(uuid);
    return uuidMark;
  });
  return { text, uuids: Buffer.from(uuids.join('').replaceAll('-', ''), 'hex') };
}

/** Throws for what `packSession` did not make. */
export function unpackSession(session: string, { text, uuids }: SessionText): string[] {
  const hex = Buffer.from(uuids.buffer, uuids.byteOffset, uuids.byteLength).toString('hex');
  let at = 0;
  const whole_ = text.replaceAll(uuidMark, () => {
    const uuid = hex.slice(at, (at += 32));
    return `${uuid.slice(0, 8)}-${uuid.slice(8, 12)}-${uuid.slice(12, 16)}-${uuid.slice(16, 20)}-${uuid.slice(20)}`;
  });
  if (at !== hex.length) throw new Error('a block has another number of ids than places for them');
  const columns = whole_.split(column);
  if (columns.length !== 6) throw new Error('a block does not have six columns');
  const [senders, kinds, times, ids, rests] = [0, 1, 3, 4, 5].map((index) => columns[index]!.split(item));
  const events: string[] = [];
  let time = 0;
  let next = 0;
  for (const [index, code] of [...columns[2]!].entries()) {
    const rest = rests![index];
    if (rest === undefined) throw new Error('a block has fewer events than codes');
    if (code === whole) {
      events.push(rest);
      continue;
    }
    const [type, sender] = kinds![code.charCodeAt(0) - firstCode]!.split(' ');
    time += Number.parseInt(times![next]!, 36);
    const head = headOf(session, index + 1);
    const from = senders![Number(sender)]!;
    events.push(
      `${head}${ids![next]!}","type":"${type}","from":${from},"at":"${new Date(time).toISOString()}"${lengthened(rest)}`,
    );
    next += 1;
  }
  return events;
}

interface Parts {
  readonly id: string;
  readonly type: string;
  readonly from: string;
  readonly at: number;
  readonly rest: string;
}

function headOf(session: string, seq: number): string {
  return `{"session":"${session}","seq":${seq},"id":"`;
}

/** An event as the session actor writes it; undefined for any other. */
function split(session: string, seq: number, json: string): Parts | undefined {
  const head = headOf(session, seq);
  if (!json.startsWith(head)) return undefined;
  const idEnd = stringEnd(json, head.length);
  const typeStart = idEnd + '","type":"'.length;
  if (json.slice(idEnd, typeStart) !== '","type":"') return undefined;
  const typeEnd = json.indexOf('"', typeStart);
  const type = json.slice(typeStart, typeEnd);
  const fromStart = typeEnd + '","from":'.length;
  if (json.slice(typeEnd, fromStart) !== '","from":' || !/^[a-z_]+$/.test(type)) return undefined;
  const fromEnd = objectEnd(json, fromStart);
  const atStart = fromEnd + ',"at":"'.length;
  const atEnd = atStart + 24;
  if (json.slice(fromEnd, atStart) !== ',"at":"' || json[atEnd] !== '"') return undefined;
  const at = Date.parse(json.slice(atStart, atEnd));
  if (!Number.isFinite(at) || new Date(at).toISOString() !== json.slice(atStart, atEnd)) return undefined;
  const id = json.slice(head.length, idEnd);
  return { id, type, from: json.slice(fromStart, fromEnd), at, rest: json.slice(atEnd + 1) };
}

/** The place of the quote that ends a string. */
function stringEnd(json: string, from: number): number {
  for (let at = from; at < json.length; at += 1) {
    if (json[at] === '\\') at += 1;
    else if (json[at] === '"') return at;
  }
  return json.length;
}

function objectEnd(json: string, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length; at += 1) {
    const char = json[at];
    if (char === '"') at = stringEnd(json, at + 1);
    else if (char === '{') depth += 1;
    else if (char === '}' && (depth -= 1) === 0) return at + 1;
  }
  return json.length;
}

function codeOf({ type, from }: Parts, senders: string[], kinds: string[]): number {
  let sender = senders.indexOf(from);
  if (sender < 0) sender = senders.push(from) - 1;
  const kind = `${type} ${sender}`;
  const code = kinds.indexOf(kind);
  return code < 0 ? kinds.push(kind) - 1 : code;
}

/** The first character says which: a text message, or anything else. */
function shortened(rest: string): string {
  const isText = rest.startsWith(textHead) && rest.endsWith(textTail);
  const inner = isText ? rest.slice(textHead.length, -textTail.length) : '';
  // A longer body may begin and end in the same way.
  return isText && stringEnd(inner, 0) === inner.length ? `T${inner}` : `E${rest}`;
}

function lengthened(rest: string): string {
  return rest.startsWith('T') ? `${textHead}${rest.slice(1)}${textTail}` : rest.slice(1);
}
