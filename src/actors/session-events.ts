import { timeText, type EventOut } from '../protocol/session-view.ts';
import type { EventBody, Sender } from '../rules/session.ts';
import { senderJson } from './subscribers.ts';

/**
 * Events in their wire form. Made by hand for messages: the session's and the sender's part are known, and a
 * JSON.stringify of the whole costs twice as much on the hottest line there is.
 */
export function messageEvent(
  session: string,
  seq: number,
  at: number,
  sender: string,
  fromJson: string,
  id: string,
  body: unknown,
): EventOut {
  const json =
    `{"session":"${session}","seq":${seq},"id":${JSON.stringify(id)},"type":"message","from":${fromJson}` +
    `,"at":"${timeText(at)}","body":${JSON.stringify(body)}}`;
  return { seq, type: 'message', at, sender, id, json };
}

export function stateEvent(
  session: string,
  seq: number,
  at: number,
  from: Sender,
  id: string,
  body: EventBody,
): EventOut {
  const { type, ...rest } = body;
  const head = `{"session":"${session}","seq":${seq},"id":"${id}","type":"${type}","from":${senderJson(from)}`;
  const tail = JSON.stringify(rest).slice(1);
  const json = `${head},"at":"${timeText(at)}"${tail === '}' ? '' : ','}${tail}`;
  return { seq, type, at, sender: from.id, id, json };
}

/** An event as it was stored, back in memory. */
export function storedEvent(seq: number, json: string): EventOut {
  const event = JSON.parse(json) as { type: string; at: string; id: string; from: { id: string } };
  return { seq, type: event.type, at: Date.parse(event.at), sender: event.from.id, id: event.id, json };
}
