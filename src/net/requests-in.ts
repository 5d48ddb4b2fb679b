import type { JsonObject } from '../protocol/bodies.ts';
import {
  bad,
  fieldsOf,
  groupOf,
  idOf,
  integerOf,
  optionalAttributes,
  optionalText,
  textOf,
} from './fields.ts';
import type { Fields } from './fields.ts';

/**
 * What requests ask for, however they came: frames and HTTP bodies share these. All take unchecked JSON and throw
 * KefuError `bad_request` or `too_large`, naming the field. Unknown fields are ignored, for clients newer than us.
 */

export interface OpenRequest {
  readonly group: string | undefined;
  readonly subject: string | undefined;
  readonly attributes: JsonObject | undefined;
}

export type TransferTarget = { readonly agent: string } | { readonly group: string };

export interface TransferRequest {
  readonly to: TransferTarget;
  readonly note: string | undefined;
}

export interface CloseRequest {
  readonly reason: string | undefined;
}

export interface RatingRequest {
  readonly score: number;
  readonly comment: string | undefined;
}

export interface VisitorRequest {
  readonly name: string | undefined;
  readonly externalId: string | undefined;
  readonly channel: string | undefined;
  readonly attributes: JsonObject | undefined;
}

export interface LoginRequest {
  readonly email: string;
  readonly password: string;
}

export const requestLimits = {
  subjectChars: 200,
  noteChars: 2000,
  reasonChars: 200,
  commentChars: 2000,
  visitorNameChars: 100,
  externalIdChars: 128,
  emailChars: 254,
  passwordChars: 1024,
} as const;

export function parseOpen(value: unknown): OpenRequest {
  const fields = bodyFields(value);
  return {
    group: isAbsent(fields['group']) ? undefined : groupOf(fields['group'], 'group'),
    subject: optionalText(fields['subject'], 'subject', { max: requestLimits.subjectChars }),
    attributes: optionalAttributes(fields['attributes'], 'attributes'),
  };
}

export function parseTransfer(value: unknown): TransferRequest {
  const fields = bodyFields(value);
  const to = fieldsOf(fields['to'], 'to');
  const { agent, group } = to;
  if (isAbsent(agent) === isAbsent(group)) throw bad('to', 'an object with exactly one of agent and group');
  return {
    to: isAbsent(group) ? { agent: idOf(agent, 'to.agent') } : { group: groupOf(group, 'to.group') },
    note: optionalText(fields['note'], 'note', { max: requestLimits.noteChars }),
  };
}

/** No body at all closes without a reason. */
export function parseClose(value: unknown): CloseRequest {
  const fields = bodyFields(value);
  return { reason: optionalText(fields['reason'], 'reason', { max: requestLimits.reasonChars }) };
}

export function parseRating(value: unknown): RatingRequest {
  const fields = bodyFields(value);
  return {
    score: integerOf(fields['score'], 'score', 1, 5),
    comment: optionalText(fields['comment'], 'comment', { max: requestLimits.commentChars }),
  };
}

const channelName = /^[a-z0-9_-]{1,32}$/;

export function parseVisitor(value: unknown): VisitorRequest {
  const fields = bodyFields(value);
  const channel = fields['channel'];
  if (!isAbsent(channel) && (typeof channel !== 'string' || !channelName.test(channel))) {
    throw bad('channel', '1 to 32 of a-z, 0-9, _ and -');
  }
  return {
    name: optionalText(fields['name'], 'name', { max: requestLimits.visitorNameChars, line: true }),
    externalId: optionalText(fields['external_id'], 'external_id', {
      min: 1,
      max: requestLimits.externalIdChars,
      line: true,
    }),
    channel: isAbsent(channel) ? undefined : channel,
    attributes: optionalAttributes(fields['attributes'], 'attributes'),
  };
}

/** The e-mail is looked up in lower case. Its form is not checked: a wrong one is only an unknown one. */
export function parseLogin(value: unknown): LoginRequest {
  const fields = bodyFields(value);
  return {
    email: textOf(fields['email'], 'email', {
      min: 1,
      max: requestLimits.emailChars,
      line: true,
    }).toLowerCase(),
    password: textOf(fields['password'], 'password', { min: 1, max: requestLimits.passwordChars }),
  };
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** An empty HTTP body stands for an empty object: every field may then be missed by its own name. */
function bodyFields(value: unknown): Fields {
  return value === undefined ? {} : fieldsOf(value, 'the body');
}
