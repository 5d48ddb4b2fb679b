import { timeText } from '../../protocol/session-view.ts';

/** What the feed tells of one committed event. */
export interface FeedEntry {
  readonly shard: number;
  /** Its place in the shard: rises, may have gaps. */
  readonly position: number;
  readonly session: string;
  readonly seq: number;
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The event as clients get it. */
  readonly json: string;
}

/** Unique for ever, and the same however often the event is published: `<session>/<seq>`. */
export function eventId({ session, seq }: FeedEntry): string {
  return `${session}/${seq}`;
}

/** By the CloudEvents NATS binding, in structured mode. */
export const cloudEventHeaders: Readonly<Record<string, string>> = {
  'content-type': 'application/cloudevents+json',
};

/**
 * The event as a CloudEvent 1.0 in JSON. Put together by hand, for `data` is JSON already and goes in unparsed; the
 * rest are ids, numbers and names without anything to escape. `sequence` is the extension of that name, a text that
 * sorts: the event's place in its shard.
 */
export function cloudEvent(entry: FeedEntry, cluster: string, data = entry.json): string {
  const { shard, position, session, type, at } = entry;
  return (
    `{"specversion":"1.0","id":"${eventId(entry)}","source":"/kefu/${cluster}","type":"kefu.session.${type}"` +
    `,"subject":"${session}","time":"${timeText(at)}","datacontenttype":"application/json"` +
    `,"shard":${shard},"sequence":"${String(position).padStart(16, '0')}","data":${data}}`
  );
}

/** What is left of an event that NATS does not take for its size; the whole is read by the API. */
export function withoutBody({ session, seq, type, at }: FeedEntry): string {
  return `{"session":"${session}","seq":${seq},"type":"${type}","at":"${timeText(at)}","omitted":true}`;
}
