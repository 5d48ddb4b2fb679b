import t from 'tap';
import { parseFault } from './faults.ts';
import { news } from './known.ts';
import { runScenario, scenarioOf } from './scenario.ts';
import { simulated } from './time.ts';

/** Runs that once found a bug: what it was, and the command's arguments. */
const found: readonly (readonly [bug: string, seed: number, faults: string])[] = [
  [
    'an `open` that came late beside the one that took its place gave a customer two sessions',
    122,
    'wipe:898:1:0:9220,suspend:1134:0:3:2553',
  ],
  ['the same, by a process that slept', 82, 'hang:3867:3:2:2842,sleep:8021:3:1:2583'],
  [
    'an owner that was overtaken was never told, because its successor was gone before its first beat',
    8,
    'island:420:2:3:9340,threadCrash:2353:4:3:322,island:2550:0:2:270',
  ],
  [
    'nobody but its stale owner could reach a shard',
    18,
    'threadCrash:2601:2:1:1574,clog:5851:0:4:8368,leave:6057:3:1:2725',
  ],
  [
    'an agent’s actor crashed when the database was away',
    90,
    'databaseCrash:73:0:1:2912,leave:1851:2:3:1572,leave:8764:0:3:5072,databaseCut:10996:4:0:3049',
  ],
  [
    'an old connection’s take came late and took the writer away from the new one',
    100,
    'wipe:2188:2:4:1410,hang:2560:4:0:6110,sleep:5426:2:3:2354,sleep:7052:0:4:260',
  ],
  [
    'a late `gone` freed the slot that was reserved for the same session again',
    23325,
    'leave:4372:2:4:9535,disconnect:13825:1:2:2388',
  ],
  [
    'a late `gone` took a session out that was held again',
    1645,
    'clog:26:1:0:2212,threadCrash:922:3:1:179,noLeader:8425:1:3:1593,leave:8523:3:4:513,clog:12163:1:2:967',
  ],
];

for (const [bug, seed, faults] of found)
  t.test(`${bug} (seed ${seed})`, async (t) => {
    const schedule = faults.split(',').map(parseFault);
    const scenario = scenarioOf(seed);
    // They were found before there were any.
    const settings = { ...scenario.settings, watchers: 0 };
    const outcome = await simulated(() => runScenario({ ...scenario, settings, faults: schedule }));
    t.same(news(outcome.failures), []);
  });
