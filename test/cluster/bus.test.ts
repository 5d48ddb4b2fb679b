import { Packr } from 'msgpackr';
import t from 'tap';
import { until } from '../../scripts/processes.ts';
import { NatsBus } from '../../src/cluster/bus-nats.ts';
import type { Beat } from '../../src/cluster/ports.ts';
import { NatsServers } from '../support/nats.ts';

const servers = await NatsServers.start();
t.teardown(() => servers.stop());
const links = await Promise.all([servers.connect(), servers.connect(), servers.connect()]);
t.teardown(() => Promise.all(links.map((link) => link.close())));

function beat(seq: number): Beat {
  return {
    node: 'näme.1',
    process: 'näme.1~5',
    generation: 'näme.1~5.1',
    workers: 2,
    url: 'http://a.example:8080',
    draining: false,
    version: '0.1.0',
    seq,
    owned: Array.from({ length: 256 }, (_, shard) => [shard, 2 ** 33 + shard, shard % 2]).flat(),
    hears: ['b~1', 'c~1'],
    dead: ['d~1.4'],
    gone: false,
  };
}

const [one, two, three] = links.map((link) => new NatsBus({ link, cluster: 'test' }));
const elsewhere = new NatsBus({ link: links[1], cluster: 'other' });
const heard: Beat[] = [];
const heardByOne: Beat[] = [];
const heardElsewhere: Beat[] = [];
one!.listen((it) => heardByOne.push(it));
two!.listen((it) => heard.push(it));
elsewhere.listen((it) => heardElsewhere.push(it));
await Promise.all(links.map((link) => link.client.flush()));

t.test('everybody else of the cluster hears a beat as it was, in order', async (t) => {
  for (let seq = 1; seq <= 20; seq += 1) one!.publish(beat(seq));
  await until('all are heard', () => heard.length === 20);
  t.same(
    heard,
    Array.from({ length: 20 }, (_, index) => beat(index + 1)),
  );
  t.same(heardByOne, [], 'not its sender');
  t.same(heardElsewhere, [], 'and no other cluster');
  t.equal(one!.sent, 20);
  t.equal(two!.received, 20);
});

t.test('what is no beat, or a newer one, is counted and dropped', async (t) => {
  const { client } = links[2];
  const packr = new Packr({ useRecords: false });
  const send = (version: number, body: unknown): void =>
    client.publish('kefu.test.beat', Buffer.concat([Buffer.from([version]), packr.pack(body)]));
  client.publish('kefu.test.beat', '');
  client.publish('kefu.test.beat', Buffer.from([1]));
  client.publish('kefu.test.beat', Buffer.from([1, 0xc1, 0xff, 0xdd, 0xff, 0xff, 0xff, 0xff]));
  client.publish('kefu.test.beat', 'hello');
  send(0, beat(1));
  const wrong: object[] = [[], { ...beat(1), owned: [1, 2] }, { ...beat(1), owned: [1, -2, 3] }];
  wrong.push(
    { ...beat(1), hears: [1] },
    { ...beat(1), dead: 'd' },
    { ...beat(1), gone: undefined },
    { ...beat(1), seq: '1' },
  );
  for (const body of [null, 1, 'x', ...wrong]) send(1, body);
  send(2, { entirely: 'different' });
  send(1, { ...beat(99), added: 'by a later version' });
  await until('the good one is heard', () => heard.at(-1)?.seq === 99);
  t.equal(heard.length, 21);
  // 'hello' begins with a byte that is larger than any version so far.
  t.equal(two!.foreign, 2);
  t.equal(two!.garbage, 4 + 10);
});

t.test('while it is not connected nothing is sent, and nothing of it later', async (t) => {
  const before = heard.length;
  await servers.kill(0);
  await until('the loss is noticed', () => !one!.connected && !two!.connected && !three!.connected);
  one!.publish(beat(1000));
  await servers.restart(0);
  await until('all are connected', () => one!.connected && two!.connected);
  await links[1].client.flush();
  one!.publish(beat(1001));
  await until('the next one is heard', () => heard.length > before);
  t.equal(heard[before]?.seq, 1001);
  t.equal(one!.sent, 21);
});

t.test('what was published last is heard, though the connection is closed at once', async (t) => {
  const link = await servers.connect();
  const { length } = heard;
  new NatsBus({ link, cluster: 'test' }).publish({ ...beat(2000), gone: true });
  await link.close();
  await until('it is heard', () => heard.length > length);
  t.equal(heard.at(-1)?.gone, true);
});
