import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** `npm test` itself: what it counts is what happened. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name)));

function npmTest(...samples: string[]): { status: number | null; output: string; last: string | undefined } {
  const paths = samples.map((name) => `test/scripts/samples/${name}.ts`);
  const run = spawnSync(process.execPath, ['scripts/test.ts', ...paths], {
    cwd: root,
    encoding: 'utf8',
    env,
  });
  const output = run.stdout + run.stderr;
  return { status: run.status, output, last: run.stdout.trimEnd().split('\n').at(-1) };
}

t.test('what passes is counted, and the end is good', async (t) => {
  const { status, output, last } = npmTest('passes');
  t.equal(last, '3 passed, 0 failed', output);
  t.equal(status, 0);
});

t.test('what fails is counted and shown, and the end is bad', async (t) => {
  const { status, output, last } = npmTest('passes', 'fails');
  t.equal(last, '4 passed, 1 failed', output);
  t.match(output, /not ok.*\n[\s\S]*-3\n\s*\+2/);
  t.equal(status, 1);
});

t.test('a file that ends in the middle has failed', async (t) => {
  const { status, last } = npmTest('crashes', 'passes');
  t.match(last, /^\d+ passed, [1-9]\d* failed$/);
  t.equal(status, 1);
});

t.test('a file that does not even start has failed', async (t) => {
  const { status, output, last } = npmTest('throws');
  t.match(last, /^0 passed, [1-9]\d* failed$/, output);
  t.equal(status, 1);
});

t.test('a path that is not there is one line', async (t) => {
  const { status, output } = npmTest('missing');
  t.equal(output, 'there is no test/scripts/samples/missing.ts\n');
  t.equal(status, 1);
});
