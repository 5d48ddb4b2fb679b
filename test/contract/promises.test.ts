import t from 'tap';
import fc from 'fast-check';
import { Client, http, login, visitor, type Encoding, type Frame } from '../support/client.ts';
import { Proxy } from '../support/proxy.ts';
import { startNode, type TestNode } from '../support/node.ts';

/**
 * Customers and agents that talk, transfer and close while their connections are cut at any moment; they retry with
 * the same ids, as the contract tells clients to. Afterwards the log is read, and must agree with what each was told.
 */
const capacity = 2;
const agentsCount = 3;

let node: TestNode;
let proxy: Proxy;
t.setTimeout(240_000);
t.before(async () => {
  node = await startNode({
    env: {
      KEFU_AGENTS_CAPACITY: String(capacity),
      KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
      KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
    },
  });
  proxy = await Proxy.start(node.port);
});
t.teardown(async () => {
  await proxy.stop();
  await node.remove();
});

/** Somebody whose connection may end at any time, and who comes back. */
class Person {
  readonly acked = new Map<string, number>();
  readonly faults: string[] = [];
  client: Client | undefined;
  #resume: Record<string, number> = {};
  readonly #token: string;
  readonly #encoding: Encoding;
  readonly #agent: boolean;

  constructor(token: string, encoding: Encoding, agent: boolean) {
    this.#token = token;
    this.#encoding = encoding;
    this.#agent = agent;
  }

  async connect(): Promise<Client> {
    while (this.client === undefined || this.client.closed !== undefined) {
      this.leave();
      try {
        this.client = await Client.hello(proxy.wsUrl, this.#token, {
          encoding: this.#encoding,
          resume: this.#resume,
        });
        if (this.#agent) await this.client.ask({ t: 'presence', state: 'online' });
      } catch {
        // Cut while it connected: once more.
        this.client?.close();
        await this.client?.untilClosed();
      }
    }
    return this.client;
  }

  leave(): void {
    if (this.client === undefined) return;
    this.faults.push(...this.client.faults);
    Object.assign(this.#resume, this.client.lastSeq);
    this.client = undefined;
  }

  /** Asks until it is answered; undefined when it was refused for good. */
  async ask(frame: Frame): Promise<Frame> {
    for (;;) {
      const client = await this.connect();
      const gone = client.untilClosed(60_000).then(() => undefined);
      const answer = await Promise.race([client.ask(frame).catch(() => undefined), gone]);
      if (answer !== undefined && !['busy', 'unavailable', 'rate_limited'].includes(answer.code))
        return answer;
    }
  }

  async say(session: string, id: string): Promise<void> {
    const answer = await this.ask({ t: 'say', session, id, body: id });
    if (answer.t !== 'ack') return;
    const before = this.acked.get(`${session} ${id}`);
    if (before !== undefined && before !== answer.seq) this.faults.push(`${id} got two places`);
    this.acked.set(`${session} ${id}`, answer.seq);
  }
}

type Step = {
  readonly who: number;
  readonly what: 'say' | 'sayAgain' | 'cut' | 'transfer' | 'close' | 'answer';
};
const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(5),
  what: fc.oneof(
    { weight: 5, arbitrary: fc.constant('say' as const) },
    { weight: 4, arbitrary: fc.constant('answer' as const) },
    { weight: 2, arbitrary: fc.constant('sayAgain' as const) },
    { weight: 4, arbitrary: fc.constant('cut' as const) },
    { weight: 2, arbitrary: fc.constant('transfer' as const) },
    { weight: 1, arbitrary: fc.constant('close' as const) },
  ),
});

let runs = 0;

async function play(steps: readonly Step[], encoding: Encoding): Promise<void> {
  const run = (runs += 1);
  const agents = await Promise.all(
    Array.from({ length: agentsCount }, async (_, n) => {
      const { id, token } = await login(node, `agent${n + 1}`);
      const person = new Person(token, encoding, true);
      await person.connect();
      return { id, person };
    }),
  );
  const customers = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const { token } = await visitor(node);
      const person = new Person(token, encoding, false);
      const { session } = await person.ask({ t: 'open' });
      return { token, person, session: session.id as string };
    }),
  );
  let said = 0;
  const going: Promise<void>[] = [];
  for (const { who, what } of steps) {
    const customer = customers[who]!;
    const agent = agents[who % agentsCount]!;
    const other = agents[(who + 1) % agentsCount]!;
    said += what === 'sayAgain' ? 0 : 1;
    const id = `m${run}-${said}`;
    if (what === 'say' || what === 'sayAgain') going.push(customer.person.say(customer.session, id));
    if (what === 'answer') going.push(agent.person.say(customer.session, id));
    if (what === 'cut') proxy.cutOne(who);
    const change = {
      session: customer.session,
      t: what,
      ...(what === 'transfer' ? { to: { agent: other.id } } : {}),
    };
    if (what === 'transfer' || what === 'close') going.push(agent.person.ask(change).then(() => undefined));
    if (going.length > 12) await going.shift();
  }
  await Promise.all(going);
  await check(customers, agents);
}

interface Held {
  readonly agent: string;
  readonly at: number;
  readonly add: number;
}

async function check(
  customers: { token: string; person: Person; session: string }[],
  agents: { id: string; person: Person }[],
): Promise<void> {
  const people = [...customers, ...agents].map(({ person }) => person);
  const admin = await login(node, 'admin');
  const held: Held[] = [];
  for (const { session } of customers) {
    const { body } = await http(node, 'GET', `/v1/sessions/${session}/events?limit=200`, {
      token: admin.token,
    });
    const events = body.data as Frame[];
    events.forEach((event, index) => {
      if (event.seq !== index + 1) throw new Error('the log has a gap');
    });
    const places = new Map<string, number>();
    let agent: string | undefined;
    for (const event of events) {
      if (event.type === 'message') {
        if (places.has(`${event.from.id} ${event.id}`)) throw new Error(`${event.id} is there twice`);
        places.set(`${event.from.id} ${event.id}`, event.seq);
      }
      if (event.type === 'assigned' && agent !== undefined)
        throw new Error('assigned while another agent holds it');
      if (['assigned', 'transferring', 'closed'].includes(event.type)) {
        if (agent !== undefined) held.push({ agent, at: Date.parse(event.at), add: -1 });
        agent = event.type === 'assigned' ? (event.agent.id as string) : undefined;
        if (agent !== undefined) held.push({ agent, at: Date.parse(event.at), add: 1 });
      }
    }
    for (const person of people)
      for (const [key, seq] of person.acked) {
        const [where, id] = key.split(' ');
        if (where === session && events[seq - 1]?.id !== id)
          throw new Error(`${id} was acked and is not at ${seq}`);
      }
  }
  for (const { id } of agents) {
    let open = 0;
    const mine = held.filter((it) => it.agent === id).sort((a, b) => a.at - b.at || a.add - b.add);
    for (const { add } of mine) if ((open += add) > capacity) throw new Error('an agent over its capacity');
  }
  for (const { person } of customers) await person.connect();
  for (const { session, token } of customers)
    await http(node, 'POST', `/v1/sessions/${session}/close`, { token, body: {} });
  for (const person of people) {
    person.client?.close();
    await person.client?.untilClosed();
    person.leave();
    if (person.faults.length > 0) throw new Error(person.faults.join('; '));
  }
}

for (const encoding of ['kefu.json.v1', 'kefu.msgpack.v1'] as Encoding[])
  t.test(`${encoding}: the promises hold while connections are cut`, async (t) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) =>
      play(steps, encoding),
    );
    await fc.assert(property, { numRuns: Number(process.env['PROMISE_RUNS'] ?? 8), endOnFailure: true });
    t.pass('8 histories');
  });
