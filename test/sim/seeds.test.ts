import t from 'tap';
import { parseFault } from './faults.ts';
import { runScenario, scenarioOf } from './scenario.ts';
import { simulated } from './time.ts';

/** Runs that once found a bug: what it was, and the command's arguments. */
const found: readonly (readonly [bug: string, seed: number, faults: string, watchers?: number])[] = [
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
  [
    'after a pause with something queued the journal refused for ever',
    500482,
    'clog:1172:2:2:1607,sleep:2970:4:0:1641,disconnect:3325:2:4:2861,sleep:5664:3:0:1606,cut:5755:1:4:1508',
  ],
  ['a queue that missed an agent’s report never asked it again', 501305, 'cut:3079:4:3:1714'],
  [
    'a take on a connection that was dead was repeated there for ever',
    900001,
    'hang:210:3:1:2280,databaseHalfOpen:5923:0:4:8764,databaseHalfOpen:6285:0:0:782',
  ],
  [
    'a session said whose it is by a transfer that was not committed',
    67,
    'databaseHang:741:4:4:58,sleep:2615:1:3:248,wipe:3354:0:3:1097,clog:4549:1:0:1660,databaseCrash:4570:4:1:3018',
  ],
  [
    'the loser of a claim that two had won took the writer of the other’s shard',
    3001004,
    'wallJump:490:3:2:1513,databaseHang:1072:2:2:8476,disconnect:1343:1:4:7889,wallJump:4893:1:2:3521,databaseHang:7861:3:2:2715,wipe:8052:3:2:274',
  ],
  [
    'an owner that was overtaken told a device to begin anew',
    91,
    'island:619:4:0:1121,wallJump:1375:1:4:702,clog:5552:4:3:11092,cut:6762:0:2:984,leave:6863:4:4:2199',
    3,
  ],
  ['a lost last event was never found', 259, 'hang:4745:0:2:1421,leave:7985:0:2:1358,cut:10994:4:2:1408', 2],
  ['`unreserve` freed the slot of a session that was the agent’s own', 5000440, '', 1],
  ['a lost page left a device behind for ever', 6000462, 'wallJump:1956:2:4:206', 3],
  [
    'an evicted actor went on under the next epoch of its thread',
    7000206,
    'cut:1732:3:2:2432,clog:4620:2:0:2578,hang:4794:3:0:7426,databaseHang:6149:4:2:670,databaseCrash:6240:0:0:1272',
    3,
  ],
  [
    'terms that were never taken in the database hid the owner of an older one',
    587021150,
    'leave:311:2:0:1,cut:416:4:0:591,databaseCrash:0:0:0:6783,databaseHalfOpen:9755:2:0:6075,databaseCut:8995:3:0:6229',
    2,
  ],
  [
    'what was decided before a failure was heard of was committed without what it stood on',
    900100276,
    'databaseCut:593:1:0:466,clog:1638:3:4:3646,databaseCut:1798:3:4:207',
    1,
  ],
  [
    'a node that one of the others gave up late was not told that its connections were forgotten there',
    900100949,
    'sleep:103:4:0:779,databaseHang:1511:0:0:11887,cut:2905:3:4:1818,wipe:3324:3:1:1053,island:4212:2:3:497',
    3,
  ],
  [
    'an owner that was overtaken refused what its successor would have taken',
    910004317,
    'databaseHang:2394:1:2:870,hang:2625:2:0:2787,leave:2919:2:3:4818,wipe:8400:0:2:1938',
    1,
  ],
  [
    'a session told its agent a seq that was never committed, which hid every later word of it',
    920003495,
    'clog:2286:1:0:707,leave:3350:3:1:3965,clog:4237:3:1:804,disconnect:5190:3:0:328,databaseHang:7244:2:0:284,databaseCut:10679:2:4:1845',
    1,
  ],
  [
    'a slot that was promised anew between a session’s answer and its being heard was given back',
    930017906,
    'databaseHalfOpen:1018:3:0:6722,threadCrash:1704:0:1:2994,databaseCrash:3440:3:2:6919,island:6858:2:0:5900,suspend:8646:1:2:2604',
    0,
  ],
  [
    'a queue that missed whom a session was passed to offered it to others for ever',
    900106697,
    'crash:976:3:3:85,noLeader:2804:2:4:2758,cut:4370:4:4:1394,disconnect:9322:4:3:2134',
  ],
  ['an agent’s connection was not told again what was lost on the way to it', 5001, ''],
  [
    'an agent was never told what ended while its actor was on its way to another node',
    5018,
    'crash:39:0:1:2457,hang:1070:2:1:454,sleep:5350:0:3:11583,cut:6173:3:0:1037',
  ],
];

for (const [bug, seed, faults, watchers = 0] of found)
  t.test(`${bug} (seed ${seed})`, async (t) => {
    const schedule = faults === '' ? [] : faults.split(',').map(parseFault);
    const scenario = scenarioOf(seed);
    const settings = { ...scenario.settings, watchers };
    const outcome = await simulated(() => runScenario({ ...scenario, settings, faults: schedule }));
    t.same(outcome.failures, []);
  });
