import { frameOf, RawClient } from '../../../src/stress/raw-client.ts';
import { latin1Text, Side, text, type Tally } from '../../talk/side.ts';

/**
 * Socket.IO's protocol 5 over Engine.IO 4, by hand: `40` connects, `42N[name,…]` is an event that wants the ack
 * `43N[…]`, and the server's `2` is a ping that wants a `3`.
 */
const path = '/socket.io/?EIO=4&transport=websocket';
const pong = frameOf('3');
const four = 0x34;

export class SocketIoSide extends Side {
  take(input: Buffer, from: number, to: number): void {
    if (input[from] !== four) return this.client.sendFrame(pong);
    const kind = input[from + 1];
    if (kind === 0x33) this.acked(Number.parseInt(input.toString('latin1', from + 2, from + 12), 10));
    else if (kind === 0x32 && this.delivered()) {
      const [, event] = JSON.parse(input.toString('utf8', from + 2, to)) as [
        string,
        { session: string; body: string },
      ];
      if (event.session !== this.session || event.body !== text) this.fault('another message than was said');
    }
  }

  say(dueMs: number): void {
    const number = this.newNumber(dueMs);
    const say = `42${number}["say",{"session":"${this.session}","id":"${this.idOf(number)}","body":"${latin1Text}"}]`;
    this.client.sendFrame(frameOf(say));
  }
}

export async function joinSocketIo(port: number, session: string, tally: Tally): Promise<Side> {
  const client = await RawClient.open({ host: '127.0.0.1', port, path });
  const side = new SocketIoSide(client, session, 0, tally);
  await told(client, '40', '40{');
  await told(client, `420["hello","${session}"]`, '430[');
  client.onFrame = (input, from, to) => side.take(input, from, to);
  return side;
}

function told(client: RawClient, say: string, answer: string): Promise<void> {
  return new Promise((resolve) => {
    client.onFrame = (input, from) => {
      if (input.toString('latin1', from, from + answer.length) === answer) resolve();
    };
    client.sendFrame(frameOf(say));
  });
}
