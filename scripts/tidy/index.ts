import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cyclesOf, problemsOf, strayAddresses } from './rules.ts';

/** `node scripts/tidy/index.ts`: the house rules as a check; fails too when it has read nothing. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const notOurs = new Set(['node_modules', '.git', 'dist', 'data', '.tap']);

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (notOurs.has(entry.name)) continue;
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (/\.(?:tsx?|js|mjs|json|md|toml|ya?ml|sh|html)$|^\.ci\//.test(path)) yield path;
  }
}

const all = [...filesBelow('')].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
const code = all.filter((file) => /^(?:src|web|test|bench|scripts|examples)\/.*\.tsx?$/.test(file.path));
const rest = all.filter((file) => !code.includes(file));
/** They hold what they look for. */
const own = /^(?:scripts\/tidy|test\/scripts)\//;
const inSource = code.filter((file) => file.path.startsWith('src/'));
const problems = [
  ...code.filter((file) => !own.test(file.path)).flatMap((file) => problemsOf(file)),
  ...rest.flatMap((file) => strayAddresses(file)),
  ...cyclesOf(inSource),
];
if (inSource.length < 20 || rest.length < 5) problems.push('tidy has read next to nothing');
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(`tidy: ${all.length} files, ${problems.length} problems\n`);
process.exit(problems.length === 0 ? 0 : 1);
