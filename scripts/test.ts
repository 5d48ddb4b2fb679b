import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildWeb } from './build-web.ts';
import { ensureChromium } from './chromium.ts';

/**
 * `npm test [paths]`: does its own set-up, runs every test file under tap, and closes with `N passed, N failed`,
 * counted from what the files themselves reported. Files that start whole nodes or browsers run one at a time.
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const alone = /^test\/(browser|crash|contract|fuzz|bench|store)\//;
const fileTimeoutS = 300;
const tapBin = join(root, 'node_modules/.bin/tap');

function testFiles(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`there is no ${relative(root, path)}`);
  if (!stat.isDirectory()) return [relative(root, path)];
  return readdirSync(path)
    .sort()
    .flatMap((name) => testFiles(join(path, name)))
    .filter((name) => name.endsWith('.test.ts'));
}

/** Runs tap on these files and counts its assertions. */
function runTap(files: readonly string[], jobs: number): Promise<{ passed: number; failed: number }> {
  return new Promise((resolve) => {
    const options = [
      '--disable-coverage',
      '--allow-empty-coverage',
      `--jobs=${jobs}`,
      `--timeout=${fileTimeoutS}`,
    ];
    const args = ['run', '--reporter=tap', ...options, ...files];
    const child = spawn(tapBin, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let total: { passed: number; failed: number } | undefined;
    let failing = 0;
    for (const stream of [child.stdout])
      createInterface({ input: stream }).on('line', (line) => {
        const sum = /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?/.exec(line);
        if (sum !== null) total = { passed: Number(sum[1] ?? 0), failed: Number(sum[2] ?? 0) };
        // A passing file is one line; what fails is shown whole.
        if (/^ok \d+ - /.test(line) || /^\s*not ok/.test(line)) failing = line.includes('not ok') ? 40 : 0;
        if (/^(ok|not ok) \d+ - /.test(line) || failing > 0) process.stdout.write(`${line}\n`);
        if (failing > 0) failing -= 1;
      });
    child.on('close', (code) => {
      const sum = total ?? { passed: 0, failed: 1 };
      resolve(code !== 0 && sum.failed === 0 ? { ...sum, failed: 1 } : sum);
    });
  });
}

function build(): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(tapBin, ['build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error('tap build failed'))));
  });
}

const paths = process.argv.slice(2);
const files = (paths.length > 0 ? paths : ['test']).flatMap((path) => testFiles(join(root, path)));
if (files.length === 0) throw new Error('no test files');
if (!existsSync(tapBin)) throw new Error('run npm ci first');
if (!buildWeb()) process.exit(1);
if (files.some((name) => name.startsWith('test/browser/')) && ensureChromium() === undefined) process.exit(1);
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
