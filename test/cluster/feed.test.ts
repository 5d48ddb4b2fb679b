import { jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { openPool } from '../../src/store/database.ts';
import { TestCluster } from '../support/cluster.ts';

t.setTimeout(240_000);

interface Told {
  readonly id: string;
  readonly shard: number;
  readonly sequence: string;
}

async function post(
  url: string,
  path: string,
  body: object,
  token = '',
): Promise<{ [key: string]: unknown }> {
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return (await answer.json()) as { [key: string]: unknown };
}

/** Talks until it is told to stop, repeating what was not answered. */
async function talk(cluster: TestCluster, index: number, isOver: () => boolean): Promise<number> {
  const retry = async <T>(what: (url: string) => Promise<T>): Promise<T> => {
    for (let attempt = index; ; attempt += 1) {
      const node = cluster.nodes[attempt % cluster.nodes.length]!;
      try {
        return await what(node.url);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  const visitor = await retry((url) => post(url, '/v1/visitors', { name: `Visitor ${index}` }));
  const token = String(visitor['token']);
  const session = await retry((url) => post(url, '/v1/sessions', {}, token));
  let count = 0;
  while (!isOver()) {
    const id = `m${(count += 1)}`;
    await retry((url) =>
      post(url, `/v1/sessions/${String(session['id'])}/messages`, { id, body: id }, token),
    );
  }
  return count;
}

t.test(
  'nodes and NATS die under load: the stream has every event once, in the order of its shard',
  async (t) => {
    const cluster = await TestCluster.start({
      nodes: 2,
      workers: 2,
      env: { KEFU_NATS_CLUSTER: 'kefu', KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0' },
    });
    const sql = openPool({ url: cluster.postgresUrl }, 'test', 2, 30_000);
    const link = await cluster.nats.connect();
    t.teardown(async () => {
      await link.close();
      await sql.end({ timeout: 1 });
      await cluster.stop();
    });
    let isOver = false;
    const talkers = Array.from({ length: 16 }, (_, index) => talk(cluster, index, () => isOver));
    const events = async (): Promise<number> =>
      (await sql<{ n: number }[]>`select count(*)::int as n from events`)[0]!.n;
    const more = async (count: number): Promise<void> => {
      const before = await events();
      await until('they talk', async () => (await events()) > before + count, 60_000);
    };
    await more(300);
    await cluster.nodes[0]!.kill();
    await more(300);
    await cluster.add(0);
    await more(300);
    await cluster.nodes[1]!.kill();
    await more(300);
    await cluster.add(1);
    await cluster.nats.restart(0);
    await more(300);
    isOver = true;
    await Promise.all(talkers);

    const outbox = async (): Promise<number> =>
      (await sql<{ n: number }[]>`select count(*)::int as n from feed`)[0]!.n;
    await until('the outbox is empty', async () => (await outbox()) === 0, 60_000);
    const manager = await jetstreamManager(link.client);
    const { state } = await manager.streams.info('KEFU_EVENTS');
    const last = new Map<number, string>();
    const told = new Map<string, number>();
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const event = (await manager.streams.getMessage('KEFU_EVENTS', { seq }))!.json<Told>();
      if ((last.get(event.shard) ?? '') >= event.sequence)
        t.fail(`shard ${event.shard}: ${event.sequence} after ${last.get(event.shard)}`);
      last.set(event.shard, event.sequence);
      told.set(event.id, (told.get(event.id) ?? 0) + 1);
    }
    const rows = await sql<{ id: string }[]>`select session::text || '/' || seq as id from events`;
    t.ok(rows.length > 1500, 'there were many');
    t.same(
      rows.filter(({ id }) => told.get(id) !== 1),
      [],
      'each is there once',
    );
    t.equal(told.size, rows.length, 'and nothing else');
  },
);
