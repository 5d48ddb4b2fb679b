import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** A linter that reads nothing finds nothing: this one is shown what it must find. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kefu-lint-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
for (const name of ['.oxlintrc.json', 'tsconfig.json']) cpSync(join(root, name), join(folder, name));
// The linter looks for its type checker from where it stands.
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

const samples: readonly (readonly [path: string, rule: string, text: string])[] = [
  [
    'src/net/floating.ts',
    'no-floating-promises',
    'async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n',
  ],
  ['src/net/any.ts', 'no-explicit-any', 'export function f(x: any): string {\n  return String(x);\n}\n'],
  [
    'src/net/switch.ts',
    'switch-exhaustiveness-check',
    `export function f(x: 'a' | 'b'): void {\n  switch (x) {\n    case 'a':\n      break;\n  }\n}\n`,
  ],
  [
    'src/rules/import.ts',
    'no-restricted-imports',
    `import { commit } from '../store/journal.ts';\nexport const f = commit;\n`,
  ],
  [
    'src/actors/engine/import.ts',
    'no-restricted-imports',
    `import type { Site } from '../../net/site.ts';\nexport type S = Site;\n`,
  ],
];

t.test('the linter finds what it is there for', async (t) => {
  for (const [path, , text] of samples) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  // Not by its command, a file without an extension, which the test runner's loader can't load.
  const oxlint = join(root, 'node_modules/oxlint/dist/cli.js');
  const run = spawnSync(process.execPath, [oxlint, '--type-aware', '--format=unix', 'src'], {
    cwd: folder,
    encoding: 'utf8',
  });
  t.not(run.status, 0);
  const lines = run.stdout.split('\n');
  for (const [path, rule] of samples)
    t.ok(
      lines.some((line) => line.startsWith(`${path}:`) && line.includes(`(${rule})`)),
      `${rule} in ${path}`,
      { output: run.stdout + run.stderr },
    );
});
