import { KefuError, refusal } from '../core/errors.ts';
import type { Refusal } from '../core/errors.ts';
import { isId } from '../core/ids.ts';
import { bodyLimits } from '../protocol/bodies.ts';
import type { MessageBody } from '../protocol/bodies.ts';
import { parseMessageBody } from './bodies-in.ts';
import { bad, fieldsOf, hasControl, idOf, integerOf, isFields, isWithinChars, textOf } from './fields.ts';
import type { Fields } from './fields.ts';
import { parseClose, parseOpen, parseTransfer } from './requests-in.ts';
import type { CloseRequest, OpenRequest, TransferRequest } from './requests-in.ts';

/** The frames of a client, checked field by field; docs/protocol.md is the source. */

/** Any string or number of the client's, echoed in the answer. */
export type Ref = string | number;

interface Frame<T extends string> {
  readonly t: T;
  readonly ref: Ref | undefined;
}

export interface HelloFrame extends Frame<'hello'> {
  readonly token: string;
  /** Session id → last seq that the client has. */
  readonly resume: Readonly<Record<string, number>> | undefined;
}
export interface OpenFrame extends Frame<'open'>, OpenRequest {}
export interface SayFrame extends Frame<'say'> {
  readonly session: string;
  readonly id: string;
  readonly body: MessageBody;
}
export interface TypingFrame extends Frame<'typing'> {
  readonly session: string;
}
export interface ReadFrame extends Frame<'read'> {
  readonly session: string;
  readonly seq: number;
}
export const presences = ['online', 'busy', 'away', 'offline'] as const;
export interface PresenceFrame extends Frame<'presence'> {
  readonly state: (typeof presences)[number];
}
export interface TransferFrame extends Frame<'transfer'>, TransferRequest {
  readonly session: string;
}
export interface CloseFrame extends Frame<'close'>, CloseRequest {
  readonly session: string;
}
export interface HistoryFrame extends Frame<'history'> {
  readonly session: string;
  readonly before: number | undefined;
  readonly limit: number | undefined;
}
export type PingFrame = Frame<'ping'>;

export type ClientFrame =
  | HelloFrame
  | OpenFrame
  | SayFrame
  | TypingFrame
  | ReadFrame
  | PresenceFrame
  | TransferFrame
  | CloseFrame
  | HistoryFrame
  | PingFrame;

/** What was no valid frame, beside the frames so that one switch on `t` handles all; no client can send this `t`. */
export interface RefusedFrame {
  readonly t: 'refused';
  /** Echoed where the frame had a valid one. */
  readonly ref: Ref | undefined;
  /** `bad_frame` ends the connection; `bad_request` and `too_large` leave it open. */
  readonly refusal: Refusal;
}

export const frameLimits = { refChars: 64, tokenChars: 4096, resumeEntries: 1000, historyMax: 200 } as const;

const badFrame = refusal('bad_frame', 'a frame must be an object with a string t');

/** Never throws for what a client sent. `historyMax` is the greatest `limit` of a `history` frame. */
export function parseFrame(
  value: unknown,
  historyMax: number = frameLimits.historyMax,
): ClientFrame | RefusedFrame {
  if (!isFields(value) || typeof value['t'] !== 'string') {
    return { t: 'refused', ref: undefined, refusal: badFrame };
  }
  let ref: Ref | undefined;
  try {
    ref = refOf(value['ref']);
    return parseFields(value, value['t'], ref, historyMax);
  } catch (error) {
    if (!(error instanceof KefuError)) throw error;
    return { t: 'refused', ref, refusal: refusal(error.code, error.message) };
  }
}

function parseFields(fields: Fields, t: string, ref: Ref | undefined, historyMax: number): ClientFrame {
  switch (t) {
    case 'say':
      return {
        t,
        ref,
        session: sessionOf(fields),
        id: messageIdOf(fields['id']),
        body: parseMessageBody(fields['body']),
      };
    case 'ping':
      return { t, ref };
    case 'typing':
      return { t, ref, session: sessionOf(fields) };
    case 'read':
      return { t, ref, session: sessionOf(fields), seq: integerOf(fields['seq'], 'seq', 1) };
    case 'history':
      return {
        t,
        ref,
        session: sessionOf(fields),
        before: fields['before'] == null ? undefined : integerOf(fields['before'], 'before', 1),
        limit: fields['limit'] == null ? undefined : integerOf(fields['limit'], 'limit', 1, historyMax),
      };
    case 'open':
      return { t, ref, ...parseOpen(fields) };
    case 'close':
      return { t, ref, session: sessionOf(fields), ...parseClose(fields) };
    case 'transfer':
      return { t, ref, session: sessionOf(fields), ...parseTransfer(fields) };
    case 'presence':
      return { t, ref, state: presenceOf(fields['state']) };
    case 'hello':
      return {
        t,
        ref,
        token: textOf(fields['token'], 'token', { min: 1, max: frameLimits.tokenChars, line: true }),
        resume: fields['resume'] == null ? undefined : resumeOf(fieldsOf(fields['resume'], 'resume')),
      };
    default:
      throw bad('t', 'a frame type of docs/protocol.md');
  }
}

function refOf(value: unknown): Ref | undefined {
  if (value === undefined || value === null) return undefined;
  const isRef =
    typeof value === 'number'
      ? Number.isFinite(value)
      : typeof value === 'string' && isWithinChars(value, frameLimits.refChars) && value.isWellFormed();
  if (!isRef) throw bad('ref', `a finite number or a string of at most ${frameLimits.refChars} characters`);
  return value as Ref;
}

function sessionOf(fields: Fields): string {
  const session = fields['session'];
  return isId(session) ? session : idOf(session, 'session');
}

const plainMessageId = /^[\x20-\x7e]{1,64}$/;

/** A message's own id: what makes its retry harmless. Printable ASCII, the usual case, is one regular expression. */
export function messageIdOf(value: unknown): string {
  if (typeof value === 'string') {
    if (plainMessageId.test(value)) return value;
    const isLong = !isWithinChars(value, bodyLimits.messageIdChars);
    if (value !== '' && !isLong && value.isWellFormed() && !hasControl(value)) return value;
  }
  throw bad('id', `1 to ${bodyLimits.messageIdChars} characters without control characters`);
}

function presenceOf(value: unknown): PresenceFrame['state'] {
  const state = presences.find((name) => name === value);
  if (state === undefined) throw bad('state', `one of ${presences.join(', ')}`);
  return state;
}

function resumeOf(fields: Fields): Readonly<Record<string, number>> {
  const ids = Object.keys(fields);
  if (ids.length > frameLimits.resumeEntries) {
    throw bad('resume', `an object of at most ${frameLimits.resumeEntries} sessions`);
  }
  const resume: Record<string, number> = {};
  for (const id of ids) {
    resume[idOf(id, 'each key of resume')] = integerOf(fields[id], 'each seq of resume', 0);
  }
  return resume;
}
