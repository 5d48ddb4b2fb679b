import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installPeers } from './bench-peers.ts';
import { buildWeb } from './build-web.ts';
import { ensureChromium } from './chromium.ts';
import { ensureNatsServer } from './nats-server.ts';

/**
 * `npm test [paths]`: does its own set-up, runs every test file under tap, and closes with `N passed, N failed`,
 * counted from what the files themselves reported. Files that start whole nodes or browsers run one at a time.
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const alone = /^test\/(browser|crash|contract|fuzz|bench|store|cluster|integrations|chaos|stress)\//;
const needsNats = /^test\/(browser|cluster|sim|integrations|chaos)\//;
const fileTimeoutS = 300;
const bin = join(root, 'node_modules/.bin');
const tapBin = join(bin, 'tap');
/** With the `node` of package.json first, as npm has it: tap runs the files with the one that it finds. */
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

function testFiles(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) refuse(`there is no ${relative(root, path)}`);
  if (!stat.isDirectory()) return [relative(root, path)];
  return readdirSync(path)
    .sort()
    .flatMap((name) => testFiles(join(path, name)))
    .filter((name) => name.endsWith('.test.ts'));
}

/** Runs tap on these files and counts its assertions. */
function runTap(files: readonly string[], jobs: number): Promise<{ passed: number; failed: number }> {
  return new Promise((done) => {
    const options = [
      '--disable-coverage',
      '--allow-empty-coverage',
      `--jobs=${jobs}`,
      `--timeout=${fileTimeoutS}`,
    ];
    const args = ['run', '--reporter=tap', ...options, ...files];
    const child = spawn(tapBin, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let total: { passed: number; failed: number } | undefined;
    let failing = 0;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const sum = /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?/.exec(line);
      if (sum !== null) total = { passed: Number(sum[1] ?? 0), failed: Number(sum[2] ?? 0) };
      // A passing file is one line; what fails is shown whole.
      if (/^ok \d+ - /.test(line) || /^\s*not ok/.test(line)) failing = line.includes('not ok') ? 40 : 0;
      if (/^(ok|not ok) \d+ - /.test(line) || failing > 0) process.stdout.write(`${line}\n`);
      if (failing > 0) failing -= 1;
    });
    child.on('close', (code) => {
      const sum = total ?? { passed: 0, failed: 1 };
      done(code !== 0 && sum.failed === 0 ? { ...sum, failed: 1 } : sum);
    });
  });
}

/** Puts tap's plugins together, which takes seconds: only when they, or node_modules, are not those of the last time. */
function build(): Promise<void> {
  const read = (path: string): { readonly tap?: unknown; readonly version?: string } =>
    JSON.parse(readFileSync(join(root, path), 'utf8')) as object;
  const { tap } = read('package.json');
  const { version } = read('node_modules/tap/package.json');
  const stamp = join(root, 'node_modules/.tap-built');
  const wanted = JSON.stringify({ version, tap });
  const isBuilt = existsSync(join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js'));
  if (isBuilt && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return Promise.resolve();
  return new Promise((done, reject) => {
    const child = spawn(tapBin, ['build'], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error('tap build failed'));
      writeFileSync(stamp, wanted);
      done();
    });
  });
}

const paths = process.argv.slice(2);
const files = (paths.length > 0 ? paths : ['test']).flatMap((path) => testFiles(resolve(root, path)));
if (files.length === 0) refuse('there are no test files there');
if (!existsSync(tapBin)) refuse('run npm ci first');
if (!buildWeb()) process.exit(1);
if (files.some((name) => name.startsWith('test/browser/')) && ensureChromium() === undefined) process.exit(1);
if (files.some((name) => needsNats.test(name)) && ensureNatsServer() === undefined) process.exit(1);
// Elsewhere they are nobody's business but the benchmarks': without them those peers are left out with a word.
if (process.env['CI'] === 'true' && files.some((name) => name.startsWith('test/bench/'))) installPeers();
await build();

const together = files.filter((name) => !alone.test(name));
const oneByOne = files.filter((name) => alone.test(name));
let passed = 0;
let failed = 0;
for (const [group, jobs] of [
  [together, 2],
  [oneByOne, 1],
] as const) {
  if (group.length === 0) continue;
  const sum = await runTap(group, jobs);
  passed += sum.passed;
  failed += sum.failed;
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
