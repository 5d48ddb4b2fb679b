import { Packr, Unpackr } from 'msgpackr';
import type { NatsLink } from './nats-connection.ts';
import { beatSubject } from './nats-subjects.ts';
import type { Beat, Bus } from './ports.ts';

/** The first byte of each message. Fields may be added under it; what older nodes would misread needs the next one. */
const version = 1;

const packr = new Packr({ useRecords: false, useToJSON: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

/** The beats over core NATS: `kefu.<cluster>.beat`. Lossy, and nothing is kept while it is not connected. */
export class NatsBus implements Bus {
  readonly #link: NatsLink;
  readonly #subject: string;
  #receive: ((beat: Beat) => void) | undefined;
  sent = 0;
  received = 0;
  /** Beats of a newer version than ours. */
  foreign = 0;
  /** What was no beat at all. */
  garbage = 0;

  constructor({ link, cluster }: { readonly link: NatsLink; readonly cluster: string }) {
    this.#link = link;
    this.#subject = beatSubject(cluster);
  }

  get connected(): boolean {
    return this.#link.connected;
  }

  publish(beat: Beat): void {
    if (!this.#link.connected) return;
    const body = packr.pack(beat);
    const message = new Uint8Array(body.length + 1);
    message[0] = version;
    message.set(body, 1);
    this.#link.client.publish(this.#subject, message);
    this.sent += 1;
  }

  listen(receive: (beat: Beat) => void): void {
    const isFirst = this.#receive === undefined;
    this.#receive = receive;
    if (!isFirst) return;
    this.#link.client.subscribe(this.#subject, {
      callback: (error, message) => {
        if (error === null) this.#take(message.data);
      },
    });
  }

  #take(data: Uint8Array): void {
    if (data[0] !== version) {
      if (data.length > 0 && data[0]! > version) this.foreign += 1;
      else this.garbage += 1;
      return;
    }
    let beat: unknown;
    try {
      beat = unpackr.unpack(data.subarray(1));
    } catch {
      beat = undefined;
    }
    if (isBeat(beat)) {
      this.received += 1;
      this.#hand(beat);
    } else this.garbage += 1;
  }

  #hand(beat: Beat): void {
    try {
      this.#receive?.(beat);
    } catch (error) {
      // A bug, and to be seen as one; but not by the connection's reader, which would silently read no more.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function isBeat(value: unknown): value is Beat {
  if (typeof value !== 'object' || value === null) return false;
  const beat = value as Partial<Record<keyof Beat, unknown>>;
  return (
    typeof beat.node === 'string' &&
    typeof beat.process === 'string' &&
    typeof beat.generation === 'string' &&
    isCount(beat.workers) &&
    typeof beat.url === 'string' &&
    typeof beat.draining === 'boolean' &&
    typeof beat.version === 'string' &&
    isCount(beat.seq) &&
    isList(beat.owned, isCount) &&
    beat.owned.length % 3 === 0 &&
    isList(beat.hears, isText) &&
    isList(beat.dead, isText) &&
    typeof beat.gone === 'boolean'
  );
}

function isList(value: unknown, isItem: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
