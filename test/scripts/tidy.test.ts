import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import {
  cyclesOf,
  importsOf,
  importTable,
  linesMax,
  problemsOf,
  strayAddresses,
} from '../../scripts/tidy/rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const problems = (path: string, text: string): string[] => problemsOf({ path, text });

t.test('every way to import is seen', async (t) => {
  const text = [
    `import { a } from './a.ts';`,
    `import type { B } from './b.ts';`,
    `import { type C } from './c.ts';`,
    `import { type D, d } from './d.ts';`,
    `import {\n  e,\n  type E,\n} from '../x/e.ts';`,
    `import * as f from './f.ts';`,
    `export * from './g.ts';`,
    `export type { H } from './h.ts';`,
    `import './i.ts';`,
    `const j = await import('./j.ts');`,
    `import k from 'k';`,
  ].join('\n');
  const found = importsOf({ path: 'src/net/from.ts', text });
  const of = (isType: boolean): string[] =>
    found
      .filter((it) => it.isType === isType)
      .map((it) => it.path)
      .sort();
  t.strictSame(of(true), ['src/net/b.ts', 'src/net/c.ts', 'src/net/h.ts']);
  t.strictSame(of(false), [
    'src/net/a.ts',
    'src/net/d.ts',
    'src/net/f.ts',
    'src/net/g.ts',
    'src/net/i.ts',
    'src/net/j.ts',
    'src/x/e.ts',
  ]);
});

const refused: readonly (readonly [what: string, path: string, text: string])[] = [
  ['rules that import the store', 'src/rules/a.ts', `import { b } from '../store/b.ts';`],
  ['rules that import types of the store', 'src/rules/a.ts', `import type { B } from '../store/b.ts';`],
  ['core that imports anything of ours', 'src/core/a.ts', `import { b } from '../rules/b.ts';`],
  ['a nested folder that imports what its parent may not', 'src/actors/x/a.ts', `import '../../net/b.ts';`],
  ['an import at run time that may not be', 'src/actors/a.ts', `await import('../store/b.ts');`],
  ['the store that imports code of the rules', 'src/store/a.ts', `import { b } from '../rules/b.ts';`],
  ['a folder that imports what puts it together', 'src/net/a.ts', `import { b } from '../node.ts';`],
  ['a folder that the table does not know', 'src/misc/a.ts', ''],
  ['pages that import code of the server', 'web/a.tsx', `import { b } from '../src/protocol/b.ts';`],
  ['pages that import types of other folders', 'web/a.ts', `import type { B } from '../src/net/b.ts';`],
  ['a file that is too long', 'src/net/a.ts', '\n'.repeat(linesMax + 1)],
  ['an actor that looks at the clock', 'src/actors/a.ts', 'const now = Date.now();'],
  ['an actor that sets a timer', 'src/actors/a.ts', 'setTimeout(run, 5);'],
  ['a rule that takes its chances', 'src/rules/a.ts', 'const die = Math.random();'],
  ['a cluster with a wire of its own', 'src/cluster/a.ts', `import { connect } from 'nats';`],
  ['a cluster that imports a part of Node', 'src/cluster/a.ts', `import net from 'node:net';`],
  ['a test that runs alone', 'test/a.test.ts', `t.only('x', async () => undefined);`],
  ['a test that is left out', 'test/a.test.ts', `t.test('x', { skip: true }, async () => undefined);`],
  ['a path of one machine', 'bench/a.ts', `const folder = '/home/somebody/kefu';`],
];
for (const [what, path, text] of refused)
  t.test(`${what} is a problem`, async (t) => {
    const found = problems(path, text);
    t.equal(found.length, 1, found.join('\n'));
    t.ok(found[0]?.startsWith(`${path}: `), found[0] ?? 'nothing found');
  });

const fine: readonly (readonly [what: string, path: string, text: string])[] = [
  ['the store that imports types of the rules', 'src/store/a.ts', `import type { B } from '../rules/b.ts';`],
  ['the top that imports everything', 'src/node.ts', `import { b } from './store/b.ts';`],
  ['a clock in a comment', 'src/actors/a.ts', '// Date.now() is not for us\n/* nor\n setTimeout */'],
  ['a clock where one may look at it', 'src/net/a.ts', 'const now = Date.now();'],
  ['pages that import types of the protocol', 'web/a.ts', `import type { B } from '../src/protocol/b.ts';`],
  ['a test that depends on the machine', 'test/a.test.ts', `t.test('x', { skip: !isRoot && 'root' }, f);`],
  ['a file of the most lines', 'src/net/a.ts', '\n'.repeat(linesMax)],
  ['an address that only looks like a path', 'src/net/a.ts', `const url = 'https://a.example/work/x';`],
];
for (const [what, path, text] of fine)
  t.test(`${what} is fine`, async (t) => {
    t.strictSame(problems(path, text), []);
  });

t.test('addresses of registries and of machines are found in any kind of file', async (t) => {
  for (const text of [
    '"resolved": "https://registry.corp.example/x.tgz"',
    'cd /root/kefu',
    'path: "/Users/me/x"',
  ])
    t.equal(strayAddresses({ path: 'docs/a.md', text }).length, 1, text);
  t.strictSame(strayAddresses({ path: 'docs/a.md', text: 'below /root is closed; GET /v1/work/x' }), []);
});

t.test('circles of code are found, circles of types are none', async (t) => {
  const file = (name: string, text: string): { path: string; text: string } => ({
    path: `src/net/${name}.ts`,
    text,
  });
  const circle = [
    file('a', `import { b } from './b.ts';`),
    file('b', `import { c } from './c.ts';`),
    file('c', `import { a } from './a.ts';`),
  ];
  t.strictSame(cyclesOf(circle), ['import cycle: src/net/a.ts → src/net/b.ts → src/net/c.ts → src/net/a.ts']);
  t.strictSame(cyclesOf([...circle.slice(0, 2), file('c', `import type { A } from './a.ts';`)]), []);
});

t.test('the linter forbids the same imports as the table', async (t) => {
  interface Pattern {
    readonly group: readonly string[];
    readonly allowTypeImports?: boolean;
  }
  interface Override {
    readonly files: readonly string[];
    readonly rules: { readonly 'no-restricted-imports'?: [string, { patterns: Pattern[] }] };
  }
  const { overrides } = JSON.parse(readFileSync(`${root}.oxlintrc.json`, 'utf8')) as {
    overrides: Override[];
  };
  const folders = Object.keys(importTable);
  const globs = (names: readonly string[]): string[] => names.map((name) => `**/${name}/**`).sort();
  for (const [folder, { code, types = [] }] of Object.entries(importTable)) {
    const rule = overrides.find((it) => it.files.includes(`src/${folder}/**`))?.rules[
      'no-restricted-imports'
    ];
    const patterns = rule?.[1].patterns ?? [];
    const groupOf = (asTypes: boolean): string[] =>
      patterns
        .filter((it) => (it.allowTypeImports === true) === asTypes)
        .flatMap((it) => it.group)
        .sort();
    t.strictSame(groupOf(true), globs(types.filter((it) => it !== '.')), folder);
    t.strictSame(
      groupOf(false),
      globs(folders.filter((it) => !code.includes(it) && !types.includes(it))),
      folder,
    );
  }
});

t.test('this tree keeps the rules', async (t) => {
  const run = spawnSync(process.execPath, ['scripts/tidy/index.ts'], { cwd: root, encoding: 'utf8' });
  t.equal(run.status, 0, run.stdout + run.stderr);
  t.match(run.stdout, /tidy: \d{3,} files, 0 problems/);
});
