import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cyclesOf, problemsOf } from './rules.ts';

/** `node scripts/tidy/index.ts`: the house rules as a check; fails too when it has read nothing. */
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
});
const paths = listed
  .split('\n')
  .filter((path) => /^(?:src|web|test|bench|scripts)\/.*\.(?:ts|tsx)$/.test(path));
const files = paths
  .filter((path) => existsSync(path))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const own = /^(?:scripts\/tidy|test\/scripts)\//;
const problems = [
  ...files.filter((file) => !own.test(file.path)).flatMap((file) => problemsOf(file)),
  ...cyclesOf(files.filter((file) => file.path.startsWith('src/'))),
];
if (files.filter((file) => file.path.startsWith('src/')).length < 20)
  problems.push('tidy has read next to nothing');
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(`tidy: ${files.length} files, ${problems.length} problems\n`);
process.exit(problems.length === 0 ? 0 : 1);
