import { jetstreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import { until } from '../../scripts/processes.ts';
import { LocalLeaseStore } from '../../src/cluster/lease-store-local.ts';
import { NatsLeaseStore } from '../../src/cluster/lease-store-nats.ts';
import type { NatsLink } from '../../src/cluster/nats-connection.ts';
import type { LeaseStore, Member } from '../../src/cluster/ports.ts';
import { realClock } from '../../src/core/real-clock.ts';
import { NatsServers } from '../support/nats.ts';

const links: NatsLink[] = [];
t.teardown(() => Promise.all(links.map((link) => link.close())));

async function storeOn(servers: NatsServers): Promise<{ store: NatsLeaseStore; link: NatsLink }> {
  const link = await servers.connect();
  links.push(link);
  return { store: new NatsLeaseStore({ link, cluster: 'test', clock: realClock }), link };
}

function member(name: string, others: Partial<Member> = {}): Member {
  return {
    node: name,
    process: `${name}~1`,
    generation: `${name}~1.1`,
    workers: 2,
    url: `http://${name}.example:8080`,
    draining: false,
    version: '0.1.0',
    ...others,
  };
}

async function generations(store: LeaseStore): Promise<string[]> {
  return (await store.members()).map((it) => it.generation).sort();
}

/** What every lease store does. `stores`: several clients of one store. */
async function contract(t: Test, stores: readonly LeaseStore[]): Promise<void> {
  const [one, other] = [stores[0]!, stores.at(-1)!];

  await t.test('of many who claim a term at once one has it', async (t) => {
    for (let round = 1; round <= 10; round += 1) {
      const names = Array.from({ length: 12 }, (_, index) => `node${index}~1.1`);
      const won = await Promise.all(
        names.map((name, index) => stores[index % stores.length]!.claim(7, round, name)),
      );
      const winners = names.filter((_, index) => won[index]);
      t.equal(winners.length, 1);
      t.equal(await one.claimant(7, round), winners[0]);
      t.equal(await other.claimant(7, round), winners[0]);
    }
  });

  await t.test('who has a term has it when asking again, and nobody else gets it', async (t) => {
    t.equal(await one.claim(8, 1, 'a~1.1'), true);
    t.equal(await other.claim(8, 1, 'a~1.1'), true);
    t.equal(await other.claim(8, 1, 'b~1.1'), false);
    t.equal(await other.claim(8, 2, 'b~1.1'), true);
    t.equal(await one.claimant(8, 1), 'a~1.1');
    t.equal(await one.claimant(8, 3), undefined);
    t.equal(await one.claimant(9, 1), undefined);
  });

  await t.test('claims far behind are forgotten, those of late are not', async (t) => {
    for (let epoch = 1; epoch <= 18; epoch += 1) t.equal(await one.claim(10, epoch, 'a~1.1'), true);
    await until('the claim of 18 - 16 is gone', async () => (await one.claimant(10, 2)) === undefined);
    t.equal(await one.claimant(10, 3), 'a~1.1');
    t.equal(await one.claimant(10, 18), 'a~1.1');
  });

  await t.test('members come, change and leave', async (t) => {
    const odd = member('näme with.dots*>', { generation: 'näme with.dots*>~1.1' });
    await one.heartbeat(member('a'));
    await other.heartbeat(odd);
    t.same(await generations(one), ['a~1.1', odd.generation]);
    t.same(
      (await one.members()).find((it) => it.node === 'a'),
      member('a'),
    );
    await one.heartbeat(member('a', { draining: true }));
    t.equal((await other.members()).find((it) => it.node === 'a')?.draining, true);
    await other.leave(odd.generation);
    await other.leave(odd.generation);
    t.same(await generations(one), ['a~1.1']);
    await one.leave('a~1.1');
    t.same(await generations(other), []);
  });
}

t.test('in memory', async (t) => {
  await contract(t, [new LocalLeaseStore()]);
});

t.test('one NATS', async (t) => {
  const servers = await NatsServers.start();
  t.teardown(() => servers.stop());
  const { store, link } = await storeOn(servers);
  const { store: second } = await storeOn(servers);
  await store.open();
  t.equal(store.replicas, 1);
  await contract(t, [store, second]);

  await t.test('more members than are read at a time', async (t) => {
    const names = Array.from({ length: 40 }, (_, index) => `m${String(index).padStart(2, '0')}`);
    await Promise.all(names.map((name) => store.heartbeat(member(name))));
    t.same(
      await generations(second),
      names.map((name) => `${name}~1.1`),
    );
    await Promise.all(names.map((name) => store.leave(`${name}~1.1`)));
  });

  await t.test('a create whose answer is lost is looked up', async (t) => {
    const { store: deaf, answers } = deafStore(link);
    answers.lose = 1;
    t.equal(await deaf.claim(20, 1, 'a~1.1'), true, 'it was ours');
    t.equal(answers.lose, 0);
    await store.claim(20, 2, 'b~1.1');
    answers.lose = 1;
    t.equal(await deaf.claim(20, 2, 'a~1.1'), false, 'it was another’s');
    answers.lose = Infinity;
    const startMs = performance.now();
    await t.rejects(deaf.claim(20, 3, 'a~1.1'), { code: 'unavailable', name: 'OutcomeUnknownError' });
    t.ok(performance.now() - startMs < 4000, 'in time');
    answers.lose = 0;
    t.equal(await deaf.claim(20, 3, 'a~1.1'), true, 'and asking again tells');
  });

  await t.test('a server that hangs is an unknown outcome', async (t) => {
    await servers.pause(0);
    t.teardown(() => servers.resume(0));
    await t.rejects(store.claim(21, 1, 'a~1.1'), { name: 'OutcomeUnknownError' });
    servers.resume(0);
    await until('it is connected', () => link.connected);
    t.equal(await store.claim(21, 1, 'a~1.1'), true);
    t.equal(await second.claim(21, 1, 'b~1.1'), false);
  });

  await t.test('a NATS that was wiped is healed by the next call', async (t) => {
    await store.claim(22, 1, 'a~1.1');
    await servers.wipe();
    await until('both are connected', async () => link.connected && links.every((it) => it.connected));
    t.equal(await store.claimant(22, 1), undefined);
    await servers.wipe();
    await until('both are connected', async () => link.connected && links.every((it) => it.connected));
    t.equal(await second.claim(22, 2, 'b~1.1'), true);
    t.equal(await store.claim(22, 2, 'a~1.1'), false);
    const manager = await jetstreamManager(link.client);
    await manager.streams.delete('KV_kefu_test');
    await store.heartbeat(member('a'));
    t.same(await generations(second), ['a~1.1']);
  });

  await t.test(
    'while it is not connected everything is refused at once, and nothing is sent later',
    async (t) => {
      await servers.kill(0);
      await until('the loss is noticed', () => !link.connected);
      const startMs = performance.now();
      const calls: (() => Promise<unknown>)[] = [
        () => store.claim(23, 1, 'a~1.1'),
        () => store.claimant(23, 1),
        () => store.heartbeat(member('late')),
        () => store.members(),
        () => store.leave('a~1.1'),
      ];
      for (const call of calls)
        await t.rejects(
          call().then(() => undefined),
          { code: 'unavailable' },
        );
      t.ok(performance.now() - startMs < 100, 'at once');
      await servers.restart(0);
      await until('it is connected', () => link.connected);
      await link.client.flush();
      t.equal(
        await until('it answers', () =>
          store.claimant(23, 1).then(
            (it) => it ?? 'none',
            () => false,
          ),
        ),
        'none',
      );
      t.same(await generations(store), ['a~1.1']);
    },
  );
});

t.test('three NATS', async (t) => {
  const servers = await NatsServers.start({ count: 3 });
  t.teardown(() => servers.stop());
  const stores = await Promise.all([storeOn(servers), storeOn(servers), storeOn(servers)]);
  const all = stores.map((it) => it.store);

  await t.test('a bucket of one copy becomes one of three', async (t) => {
    const { link } = stores[0];
    const manager = await jetstreamManager(link.client);
    const store = new NatsLeaseStore({ link, cluster: 'grown', clock: realClock });
    // As it is when NATS had one peer.
    const name = 'KV_kefu_grown';
    await manager.streams.add({
      name,
      subjects: ['$KV.kefu_grown.>'],
      max_msgs_per_subject: 1,
      num_replicas: 1,
    });
    await store.open();
    t.equal(store.replicas, 3);
    await until('all three follow', async () => {
      const { cluster } = await manager.streams.info(name);
      return cluster?.replicas?.length === 2 && cluster.replicas.every((it) => it.current);
    });
    t.equal(await store.claim(1, 1, 'a~1.1'), true);
  });

  await all[0]!.open();
  t.equal(all[0]!.replicas, 3);
  await contract(t, all);

  await t.test(
    'when the leader dies, each claim settles rightly or is unknown, and it recovers',
    async (t) => {
      const leader = await servers.leaderOf('KV_kefu_test');
      const outcomes = new Map<number, boolean[]>();
      const claimAll = async (epoch: number): Promise<void> => {
        const claims = all.map((store, index) =>
          store.claim(30, epoch, `n${index}~1.1`).catch(() => undefined),
        );
        const won = await Promise.all(claims);
        if (won.includes(true))
          outcomes.set(
            epoch,
            won.map((it) => it === true),
          );
      };
      // Until it is enough: a fast machine makes hundreds of claims before a process is dead.
      let isEnough = false;
      const running = (async () => {
        for (let epoch = 1; !isEnough; epoch += 1) await claimAll(epoch);
      })();
      void running.catch(() => undefined);
      await until('claims are made', () => outcomes.size > 5);
      await servers.kill(leader);
      const settled = outcomes.size;
      await until('claims are made again', () => outcomes.size > settled + 20, 20_000).finally(() => {
        isEnough = true;
      });
      await running;
      const newest = [...outcomes.keys()].at(-10)!;
      for (const [epoch, won] of outcomes) {
        t.equal(won.filter(Boolean).length, 1, `one winner of ${epoch}`);
        if (epoch >= newest)
          t.equal(await all[0]!.claimant(30, epoch), `n${won.indexOf(true)}~1.1`, `and it is found`);
      }
      await servers.restart(leader);
      await all[0]!.heartbeat(member('after'));
      t.same(await generations(all[1]!), ['after~1.1']);
    },
  );
});

/** A store whose client loses the next answers to what it publishes, or all: the server has done it, and nobody knows. */
function deafStore(link: NatsLink): { store: NatsLeaseStore; answers: { lose: number } } {
  const answers = { lose: 0 };
  const { client } = link;
  const deaf = new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'request') return typeof value === 'function' ? value.bind(target) : value;
      return async (...args: Parameters<typeof client.request>) => {
        const answer = await target.request(...args);
        const isLost = answers.lose === Infinity || (answers.lose > 0 && args[0].startsWith('$KV.'));
        if (!isLost) return answer;
        answers.lose -= 1;
        throw new Error('timeout');
      };
    },
  });
  const open: NatsLink = { client: deaf, connected: true, close: () => Promise.resolve() };
  return { store: new NatsLeaseStore({ link: open, cluster: 'test', clock: realClock }), answers };
}
