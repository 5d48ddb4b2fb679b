import t from 'tap';
import { giveMemoryBack } from '../src/worker-memory.ts';
import { VirtualClock } from './support/virtual-clock.ts';

t.test('memory is given back once after a storm, when the thread has little to do', async (t) => {
  const clock = new VirtualClock();
  let [closed, busy, collected] = [0, 0.1, 0];
  const log: string[] = [];
  giveMemoryBack({
    clock,
    closed: () => closed,
    busy: () => busy,
    collect: () => void (collected += 1),
    log: (_level, text) => void log.push(text),
  });
  closed = 1000;
  await clock.advance(60_000);
  t.equal(collected, 0, 'people come and go');
  [closed, busy] = [5000, 0.9];
  await clock.advance(60_000);
  t.equal(collected, 0, 'not while there is much to do');
  busy = 0.1;
  await clock.advance(6000);
  t.equal(collected, 1);
  t.match(log, [/given back after 5000 connections/]);
  closed = 20_000;
  await clock.advance(10_000);
  t.equal(collected, 1, 'not again so soon');
  await clock.advance(60_000);
  t.equal(collected, 2);
  await clock.advance(600_000);
  t.equal(collected, 2, 'once a storm');
});

t.test('what is collected is let go of', async (t) => {
  const clock = new VirtualClock();
  const log: string[] = [];
  giveMemoryBack({
    clock,
    closed: () => 10_000,
    busy: () => 0,
    log: (_level, text) => void log.push(text),
  });
  let garbage: number[][] = Array.from({ length: 200 }, () => Array.from({ length: 50_000 }, Math.random));
  const fullBytes = process.memoryUsage().rss;
  t.equal(garbage.length, 200);
  garbage = [];
  await clock.advance(6000);
  const leftBytes = process.memoryUsage().rss;
  t.ok(
    leftBytes < fullBytes - 40e6,
    `${Math.round(fullBytes / 1e6)} MB, then ${Math.round(leftBytes / 1e6)} MB`,
  );
  t.equal(log.length, 1);
});
