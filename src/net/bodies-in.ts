import { KefuError } from '../core/errors.ts';
import { bodyLimits } from '../protocol/bodies.ts';
import type { CardBody, EventBody, FileBody, MessageBody, OtherBody, TextBody } from '../protocol/bodies.ts';
import {
  bad,
  integerOf,
  isFields,
  isStorable,
  isWithinChars,
  jsonOf,
  optionalText,
  textOf,
} from './fields.ts';
import type { Fields } from './fields.ts';

const otherTypeName = /^[a-z][a-z0-9_.-]{0,31}$/;
const mimeType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;.*)?$/;
const jsonRule = { bytes: bodyLimits.jsonBytes, depth: 30 };

/**
 * A message's body as it is kept: a plain string has become a text body, and known types hold only their known
 * fields. Throws KefuError: `bad_request`, or `too_large` for what is only too big.
 */
export function parseMessageBody(value: unknown): MessageBody {
  if (typeof value === 'string') return textBody(value, 'body');
  if (!isFields(value)) throw bad('body', 'a string or an object with a type');
  switch (value['type']) {
    case 'text':
      return textBody(value['text'], 'body.text');
    case 'image':
    case 'file':
      return fileBody(value['type'], value);
    case 'card':
      return cardBody(value);
    case 'event':
      return eventBody(value);
    default:
      return otherBody(value);
  }
}

function textBody(text: unknown, field: string): TextBody {
  if (typeof text !== 'string' || text.length === 0) throw bad(field, 'a string that is not empty');
  if (!isWithinChars(text, bodyLimits.textChars)) {
    throw new KefuError('too_large', `${field} must be at most ${bodyLimits.textChars} characters`);
  }
  if (!isStorable(text)) throw bad(field, 'a string without lone surrogates or U+0000');
  return { type: 'text', text };
}

function fileBody(type: 'image' | 'file', value: Fields): FileBody {
  const mime = textOf(value['mime'], 'body.mime', { min: 3, max: bodyLimits.mimeChars, line: true });
  if (!mimeType.test(mime)) throw bad('body.mime', 'a media type such as image/png');
  return {
    type,
    url: urlOf(value['url'], 'body.url'),
    name: textOf(value['name'], 'body.name', { min: 1, max: bodyLimits.fileNameChars, line: true }),
    mime,
    size: integerOf(value['size'], 'body.size', 0),
  };
}

function cardBody(value: Fields): CardBody {
  const title = textOf(value['title'], 'body.title', { min: 1, max: bodyLimits.cardTitleChars });
  const text = optionalText(value['text'], 'body.text', { max: bodyLimits.cardTextChars });
  return {
    type: 'card',
    title,
    ...(text === undefined ? {} : { text }),
    ...(value['url'] == null ? {} : { url: urlOf(value['url'], 'body.url') }),
    ...(value['image'] == null ? {} : { image: urlOf(value['image'], 'body.image') }),
  };
}

function eventBody(value: Fields): EventBody {
  const name = textOf(value['name'], 'body.name', { min: 1, max: bodyLimits.eventNameChars, line: true });
  if (value['data'] === undefined) return { type: 'event', name };
  return { type: 'event', name, data: jsonOf(value['data'], 'body.data', jsonRule) };
}

function otherBody(value: Fields): OtherBody {
  const type = value['type'];
  if (typeof type !== 'string' || !otherTypeName.test(type)) {
    throw bad('body.type', 'text, image, file, card, event or 1 to 32 of a-z, 0-9, _, . and -');
  }
  return jsonOf(value, 'body', jsonRule) as unknown as OtherBody;
}

/** A path of this server or an http(s) address: never `javascript:`, and never `//host`, which leaves the server unseen. */
function urlOf(value: unknown, field: string): string {
  const url = textOf(value, field, { min: 1, max: bodyLimits.urlChars, line: true });
  const isPath = /^\/(?![/\\])/.test(url);
  if (!isPath && !(/^https?:\/\//i.test(url) && URL.canParse(url))) {
    throw bad(field, 'a path on this server or an http or https address');
  }
  return url;
}
