import { headers as natsHeaders } from '@nats-io/nats-core';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { Client, http, login, visitor, type Frame } from '../support/client.ts';
import { TestCluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node.ts';

t.setTimeout(240_000);

/** Between an ack and the next thing said: every event is read again from every node, several times. */
const thinkMs = 25;

/** Somebody who talks through any node, and says again, with the same id, what was not acked. */
class Talker {
  readonly acked = new Map<string, number>();
  readonly faults: string[] = [];
  /** The longest time from saying to the ack, and when it began. */
  slowestMs = 0;
  session = '';
  token = '';
  running = true;
  readonly #nodes: () => readonly TestNode[];
  #place: number;
  #client: Client | undefined;
  #next = 0;
  #done: Promise<void> | undefined;

  constructor(nodes: () => readonly TestNode[], place: number) {
    this.#nodes = nodes;
    this.#place = place;
  }

  async begin(): Promise<void> {
    const node = this.#nodes()[this.#place]!;
    this.token = (await visitor(node)).token;
    this.#client = await Client.hello(node.wsUrl, this.token, {});
    const { session } = await this.#client.ask({ t: 'open' });
    this.session = session.id as string;
    this.#done = this.#talk();
  }

  async end(): Promise<void> {
    this.running = false;
    await this.#done;
    this.#leave();
  }

  async #talk(): Promise<void> {
    while (this.running) {
      const id = `m${(this.#next += 1)}`;
      const since = performance.now();
      for (;;) {
        const answer = await this.#say(id);
        if (answer?.t === 'ack') {
          this.acked.set(id, answer.seq as number);
          this.slowestMs = Math.max(this.slowestMs, performance.now() - since);
          break;
        }
        if (answer?.t === 'error' && !['unavailable', 'busy'].includes(answer.code as string))
          this.faults.push(`${id}: ${JSON.stringify(answer)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, thinkMs));
    }
  }

  /** Undefined: no answer, and another connection to another node is made next. */
  async #say(id: string): Promise<Frame> {
    const client = this.#client ?? (await this.#connect());
    if (client === undefined) return undefined;
    const answer = client.next((frame) => frame.ref === id, 1_000).catch(() => undefined);
    client.send({ t: 'say', ref: id, session: this.session, id, body: 'hi' });
    const gone = client.untilClosed(600_000).then(() => undefined);
    const frame = await Promise.race([answer, gone]);
    if (frame === undefined) this.#leave();
    return frame;
  }

  #leave(): void {
    if (this.#client !== undefined) this.faults.push(...this.#client.faults);
    this.#client?.close();
    this.#client = undefined;
    this.#place += 1;
  }

  async #connect(): Promise<Client | undefined> {
    const nodes = this.#nodes();
    const node = nodes[this.#place % nodes.length]!;
    try {
      const client = await Client.open(node.wsUrl);
      client.send({ t: 'hello', token: this.token, resume: { [this.session]: 0 } });
      const answer = await client.next((frame) => frame.t === 'ready' || frame.t === 'error', 3_000);
      if (answer.t === 'ready') return (this.#client = client);
      client.close();
    } catch {
      // Another node, then.
    }
    this.#place += 1;
    return undefined;
  }
}

/** Every ack is in the log that each node shows, in its place, and nothing is there twice. */
async function wrongs(nodes: readonly TestNode[], talkers: readonly Talker[]): Promise<string[]> {
  const found = talkers.flatMap((talker) => talker.faults);
  for (const node of nodes) {
    for (const talker of talkers) {
      const acked = new Map(talker.acked);
      const places = new Map<string, number>();
      for (let after = 0, more = true; more;) {
        const path = `/v1/sessions/${talker.session}/events?after=${after}&limit=200`;
        const { status, body } = await http(node, 'GET', path, { token: talker.token });
        if (status !== 200) return [...found, `${path}: ${status} ${JSON.stringify(body)}`];
        for (const event of body.data as Frame[]) {
          after += 1;
          if (event.seq !== after) found.push(`${talker.session} has ${String(event.seq)} in place ${after}`);
          if (places.has(event.id as string)) found.push(`${String(event.id)} is there twice`);
          places.set(event.id as string, event.seq as number);
        }
        more = body.next !== null;
      }
      for (const [id, seq] of acked)
        if (places.get(id) !== seq) found.push(`${id} was acked at ${seq} and is at ${places.get(id)}`);
    }
  }
  return found;
}

async function owned(node: TestNode): Promise<boolean> {
  const { body } = await http(node, 'GET', '/v1/cluster');
  return (body.shards as { phase: string }[]).every(({ phase }) => phase === 'open' || phase === 'elsewhere');
}

async function all(talkers: readonly Talker[], more: number): Promise<void> {
  const enough = talkers.map((talker) => talker.acked.size + more);
  await until(
    'everybody is acked again',
    () => Promise.resolve(talkers.every((talker, index) => talker.acked.size >= enough[index]!)),
    20_000,
  );
}

t.test('three nodes serve as one, whatever becomes of one of them', async (t) => {
  const cluster = await TestCluster.start({
    nodes: 3,
    env: {
      KEFU_LIMITS_MESSAGES_PER_SECOND: '0',
      KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
      KEFU_LEASE_SUSPECT_AFTER: '1s',
      KEFU_LEASE_TTL: '6s',
    },
  });
  const { nodes } = cluster;
  const alive = new Set([0, 1, 2]);
  const up = (): TestNode[] => nodes.filter((_, index) => alive.has(index));
  const talkers = Array.from({ length: 18 }, (_, index) => new Talker(up, index % 3));
  await Promise.all(talkers.map((talker) => talker.begin()));
  const slowest = (): number => {
    const ms = Math.max(...talkers.map((talker) => talker.slowestMs));
    for (const talker of talkers) talker.slowestMs = 0;
    return Math.round(ms);
  };

  await t.test('an agent of one node serves the customer of another', async (t) => {
    const agent = await Client.hello(nodes[2]!.wsUrl, (await login(nodes[2]!, 'agent1')).token, {});
    await agent.ask({ t: 'presence', state: 'online' });
    const assigned = await agent.seen((frame) => frame.t === 'assigned');
    t.match(await agent.say(assigned.session.id as string, 'a1'), { t: 'ack' });
    agent.close();
  });

  await t.test('other programs hear of it over NATS, and can ask', async (t) => {
    const link = await cluster.nats.connect({ cluster: 'kefu' });
    const { client } = link;
    const heard = new Set<string>();
    client.subscribe('kefu.events.message', {
      callback: (_error, message) => {
        const { data } = message.json<{ data: { session: string; id: string } }>();
        heard.add(`${data.session} ${data.id}`);
      },
    });
    await client.flush();
    const first = talkers[0]!;
    const mark = `m${first.acked.size + 5}`;
    await until(
      'the event is in the feed',
      () => Promise.resolve(heard.has(`${first.session} ${mark}`)),
      10_000,
    );
    const { token } = await login(nodes[0]!, 'agent1');
    const ask = JSON.stringify({ limit: 3 });
    const headers = natsHeaders();
    headers.set('Authorization', `Bearer ${token}`);
    const answer = await client.request('kefu.api.sessions.list', ask, { headers, timeout: 5_000 });
    t.match(answer.json(), { data: Array });
    const info = await client.request('$SRV.INFO.kefu', '', { timeout: 2_000 });
    t.match(info.json(), { name: 'kefu' });
    await link.close();
  });

  await t.test('a node that is drained hands its shards over in an instant', async (t) => {
    await all(talkers, 20);
    slowest();
    alive.delete(1);
    t.equal(await nodes[1]!.stop(), 0);
    await all(talkers, 20);
    t.comment(`the longest silence was ${slowest()} ms`);
    await cluster.add(1);
    alive.add(1);
    await until('all shards are owned', () => owned(nodes[1]!), 20_000);
    t.same(await wrongs(up(), talkers), []);
  });

  await t.test('a node that is killed is taken over', async (t) => {
    alive.delete(2);
    await nodes[2]!.kill();
    await all(talkers, 20);
    const ms = slowest();
    t.ok(ms < 8_000, `the longest silence was ${ms} ms`);
    await cluster.add(2);
    alive.add(2);
    await until('all shards are owned', () => owned(nodes[2]!), 20_000);
    t.same(await wrongs(up(), talkers), []);
  });

  await t.test(
    'a node that stood still for longer than its lease does no harm when it goes on',
    async (t) => {
      nodes[0]!.signal('SIGSTOP');
      alive.delete(0);
      const stopped = performance.now();
      await all(talkers, 20);
      await until(
        'the lease has run out',
        () => Promise.resolve(performance.now() - stopped > 7_000),
        20_000,
      );
      nodes[0]!.signal('SIGCONT');
      alive.add(0);
      await until('all shards are owned', () => owned(nodes[0]!), 20_000);
      await all(talkers, 20);
      t.comment(`the longest silence was ${slowest()} ms`);
      t.same(await wrongs(up(), talkers), []);
    },
  );

  await t.test('NATS gone for longer than the leases: no service, and it comes back by itself', async (t) => {
    await cluster.nats.kill(0);
    await until(
      'the leases have ended',
      async () => {
        const { body } = await http(nodes[0]!, 'GET', '/v1/cluster');
        return body.lease.holds === false;
      },
      20_000,
    );
    await cluster.nats.restart(0);
    await until('all shards are owned', () => owned(nodes[0]!), 30_000);
    await all(talkers, 20);
    t.same(await wrongs(up(), talkers), []);
  });

  await Promise.all(talkers.map((talker) => talker.end()));
  t.same(await wrongs(up(), talkers), []);
  await cluster.stop();
});
