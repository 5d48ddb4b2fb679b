import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const bench = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

t.test('a flag that can’t be is named, with how it should be, and nothing is measured', async (t) => {
  const wrong: readonly (readonly [flags: readonly string[], why: RegExp])[] = [
    [['--rounds', 'x'], /--rounds: "x" is no number above 0/],
    [['--rounds', '0'], /--rounds: "0" is no number above 0/],
    [['--only', 'talk,foo'], /--only: foo is none of start, talk,/],
    [['--bogus'], /--bogus/],
    [['--rounds'], /--rounds/],
  ];
  for (const [flags, why] of wrong) {
    const { status, stderr, stdout } = spawnSync(process.execPath, [bench, 'talk', ...flags]);
    t.equal(status, 2, flags.join(' '));
    t.match(String(stderr), why);
    t.match(String(stderr), /npm run bench talk/);
    t.equal(String(stdout), '');
  }
  const { status, stdout } = spawnSync(process.execPath, [bench, 'talk', '--help']);
  t.equal(status, 0);
  t.match(String(stdout), /npm run bench talk/);
});
