import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';

/**
 * A bot that answers customers: it reads what is said from the change feed, and says something itself over NATS.
 *
 *   KEFU=http://127.0.0.1:8080 NATS=127.0.0.1:4222 KEFU_EMAIL=agent1@demo.kefu KEFU_PASSWORD=demo node examples/answer-bot.ts
 *
 * It works as an agent, and so has only those sessions that the queue gives to it; they come while it is online. Several
 * may run under one name: they share the durable consumer.
 */
interface CloudEvent {
  readonly id: string;
  readonly subject: string;
  readonly data: { readonly from: { readonly kind: string }; readonly body: { readonly text?: string } };
}

const {
  KEFU: url = 'http://127.0.0.1:8080',
  NATS: servers = '127.0.0.1:4222',
  KEFU_EMAIL: email = 'agent1@demo.kefu',
  KEFU_PASSWORD: password = 'demo',
  NATS_USER: user,
  NATS_PASSWORD: pass,
} = process.env;

const login = await fetch(`${url}/v1/login`, { method: 'POST', body: JSON.stringify({ email, password }) });
if (!login.ok) throw new Error(`login: ${await login.text()}`);
const { token } = (await login.json()) as { token: string };

// Online, so that the queue gives it sessions. Nothing else goes this way.
const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, 'kefu.json.v1');
socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', token }));
socket.onmessage = ({ data }) => {
  const { t } = JSON.parse(String(data)) as { t: string };
  if (t === 'ready') socket.send(JSON.stringify({ t: 'presence', ref: 1, state: 'online' }));
  if (t === 'ping') socket.send(JSON.stringify({ t: 'pong' }));
};
socket.onclose = () => process.exit(1);

const nats = await connect({
  servers,
  name: 'answer-bot',
  ...(user === undefined ? {} : { user, pass: pass ?? '' }),
});
const manager = await jetstreamManager(nats);
await manager.consumers.add('KEFU_EVENTS', {
  durable_name: 'answer-bot',
  ack_policy: AckPolicy.Explicit,
  filter_subject: 'kefu.events.message',
});
const consumer = await jetstream(nats).consumers.get('KEFU_EVENTS', 'answer-bot');
const authorization = headers();
authorization.set('Authorization', `Bearer ${token}`);

for await (const message of await consumer.consume()) {
  const { id, subject: session, data } = message.json<CloudEvent>();
  if (data.from.kind !== 'customer') {
    message.ack();
    continue;
  }
  const body = `You said: ${data.body.text ?? 'something without words'}`;
  try {
    // The id is made of the event's: however often the event comes, it is answered once.
    const request = JSON.stringify({ session, id: `answer-${id}`, body });
    const answer = await nats.request('kefu.api.sessions.say', request, {
      headers: authorization,
      timeout: 15_000,
    });
    const code = Number(answer.headers?.get('Nats-Service-Error-Code') ?? 0);
    console.log(session, answer.string());
    // 403: another agent has the session. What is passing (429, 503) is tried again.
    if (code === 429 || code === 503) message.nak(1000);
    else message.ack();
  } catch {
    // No answer: it may be said or not; with the same id it is safe to ask again.
    message.nak(1000);
  }
}
