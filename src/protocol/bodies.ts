/** What a message may say: the typed bodies of docs/protocol.md, after validation, and their limits. */

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [field: string]: JsonValue;
}

export interface TextBody {
  readonly type: 'text';
  readonly text: string;
}

/** `url` is where the upload route put it; `size` is in bytes. */
export interface FileBody {
  readonly type: 'image' | 'file';
  readonly url: string;
  readonly name: string;
  readonly mime: string;
  readonly size: number;
}

export interface CardBody {
  readonly type: 'card';
  readonly title: string;
  readonly text?: string;
  readonly url?: string;
  readonly image?: string;
}

export interface EventBody {
  readonly type: 'event';
  readonly name: string;
  readonly data?: JsonValue;
}

export type KnownBody = TextBody | FileBody | CardBody | EventBody;

/** A type that this version does not know: kept and passed on with all its fields, which only its readers know. */
export interface OtherBody {
  readonly type: string;
}

export type MessageBody = KnownBody | OtherBody;

/** Ask this before a switch on `type`: an unknown type is any string, so the union does not narrow by itself. */
export function isKnownBody(body: MessageBody): body is KnownBody {
  return knownTypes.has(body.type);
}

const knownTypes: ReadonlySet<string> = new Set<KnownBody['type']>([
  'text',
  'image',
  'file',
  'card',
  'event',
]);

/** Characters are Unicode code points; bytes are of the UTF-8 of the compact JSON. */
export const bodyLimits = {
  /** A text's characters; the 32 KiB do not apply to it: 16,000 Chinese characters are 48,000 bytes. */
  textChars: 16_000,
  /** Any other body as JSON. */
  jsonBytes: 32 * 1024,
  fileNameChars: 255,
  urlChars: 2048,
  mimeChars: 200,
  cardTitleChars: 200,
  cardTextChars: 4000,
  eventNameChars: 64,
  messageIdChars: 64,
} as const;
