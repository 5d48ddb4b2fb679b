import { frameOf, RawClient } from '../../../src/stress/raw-client.ts';
import { latin1Text, Side, text, type Tally } from '../../talk/side.ts';
import { host, password, userOf } from './index.ts';

/** XMPP over WebSocket (RFC 7395), a stanza a frame; each message is followed by the request for an ack (XEP-0198). */
const askAck = frameOf('<r xmlns="urn:xmpp:sm:3"/>');
const open = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="${host}" version="1.0"/>`;

export class EjabberdSide extends Side {
  readonly #to: string;
  /** Said and not acked, oldest first: an ack says how many were handled. */
  readonly #waiting: number[] = [];
  #handled = 0;
  #received = 0;

  constructor(client: RawClient, to: string, session: string, tally: Tally) {
    super(client, session, 0, tally);
    this.#to = to;
  }

  take(input: Buffer, from: number, to: number): void {
    // <message …, <a …, <r …, in either kind of quotes.
    const kind = input[from + 1];
    if (kind === 0x6d) {
      this.#received += 1;
      if (!this.delivered()) return;
      const stanza = input.toString('utf8', from, to);
      if (!stanza.includes(`<body>${text}</body>`)) this.fault(stanza);
    } else if (kind === 0x61) {
      const handled = Number(/h=['"](\d+)/.exec(input.toString('latin1', from, to))![1]);
      for (; this.#handled < handled; this.#handled += 1) this.acked(this.#waiting.shift()!);
    } else if (kind === 0x72) {
      this.client.sendFrame(frameOf(`<a xmlns="urn:xmpp:sm:3" h="${this.#received}"/>`));
    } else this.fault(input.toString('utf8', from, to));
  }

  say(dueMs: number): void {
    const number = this.newNumber(dueMs);
    this.#waiting.push(number);
    const start = `<message xmlns="jabber:client" to="${this.#to}" type="chat" id="${this.idOf(number)}"><body>`;
    this.client.sendFrame(frameOf(`${start}${latin1Text}</body></message>`) + askAck);
  }
}

/** The two sides of a session are two users who write to each other. */
export async function joinEjabberd(port: number, number: number, tally: Tally): Promise<Side> {
  const client = await RawClient.open({ host: '127.0.0.1', port, protocol: 'xmpp' });
  const user = userOf(number);
  const other = userOf(number ^ 1);
  const plain = Buffer.from(`\0${user}\0${password}`).toString('base64');
  await told(client, open, '<stream:features');
  await told(
    client,
    `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">${plain}</auth>`,
    '<success',
  );
  await told(client, open, '<stream:features');
  const bind = '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>bench</resource></bind>';
  await told(client, `<iq xmlns="jabber:client" type="set" id="bind">${bind}</iq>`, '<iq');
  await told(client, '<presence xmlns="jabber:client"/>', '<presence');
  await told(client, '<enable xmlns="urn:xmpp:sm:3"/>', '<enabled');
  const side = new EjabberdSide(client, `${other}@${host}/bench`, `${number >> 1}`, tally);
  client.onFrame = (input, from, to) => side.take(input, from, to);
  return side;
}

const answerWaitMs = 30_000;

function told(client: RawClient, say: string, answer: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let last = 'nothing';
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`ejabberd did not say ${answer}: ${why}; it said ${last}`));
    };
    const timer = setTimeout(fail, answerWaitMs, `not within ${answerWaitMs} ms`);
    client.onClose = () => fail('it has closed the connection');
    client.onFrame = (input, from, to) => {
      last = input.toString('utf8', from, to);
      if (last.startsWith(answer)) {
        clearTimeout(timer);
        client.onClose = () => undefined;
        resolve();
      } else if (last.includes('failure') || last.includes('error')) fail('it refused');
    };
    client.sendFrame(frameOf(say));
  });
}
