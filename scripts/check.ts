import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `npm run check`: everything that reads the code without running it. All of it runs; one failure is a failure. */
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
const checks: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['types', 'tsc', ['--noEmit']],
  ['types of the pages', 'tsc', ['--noEmit', '-p', 'web/tsconfig.json']],
  [
    'lint',
    'oxlint',
    ['--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts', 'examples', 'web'],
  ],
  ['house rules', process.execPath, ['scripts/tidy/index.ts']],
  ['format', 'prettier', ['--check', '--cache', '--log-level', 'warn', '.']],
  ['dead code', 'knip', []],
];

let failed = 0;
for (const [name, command, args] of checks) {
  const start = performance.now();
  const run = spawnSync(command, args, { cwd: root, env, encoding: 'utf8' });
  const isOk = run.status === 0;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${isOk ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
  if (!isOk) process.stdout.write(`${run.error?.message ?? ''}${run.stdout ?? ''}${run.stderr ?? ''}\n`);
  if (!isOk) failed += 1;
}
process.stdout.write(`\n${checks.length - failed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
