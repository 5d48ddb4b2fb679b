import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'smol-toml';
import t from 'tap';
import { loadConfig } from '../../src/config.ts';
import { rootKeys, sections } from '../../src/config/keys.ts';
import { ConfigError } from '../../src/config/values.ts';

const folder = mkdtempSync(join(tmpdir(), 'kefu-config-fuzz-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'fuzz.toml');

/** The law: a configuration, or one line that says why not. Anything else is thrown on. */
function isLawful(argv: readonly string[], env: Record<string, string>): boolean {
  try {
    const config = loadConfig(argv, env, () => undefined);
    if (config === undefined) return argv.some((it) => ['--help', '-h', '--version'].includes(it));
    structuredClone(config);
    return Object.values(config.limits).every((it) => Number.isSafeInteger(it) && it >= 0);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.length > 0 && !/[\n\r\0]/.test(error.message);
  }
}

const roots = Object.keys(rootKeys);
const paths = Object.entries(sections).flatMap(([section, keys]) =>
  Object.keys(keys).map((key) => [section, key] as const),
);
const odd = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'a\nb', '\0'];
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(...odd, '0', '1', '8080', '-1', '1e9', '9'.repeat(15), '9'.repeat(40), 'NaN', 'Infinity'),
  fc.constantFrom(
    '500ms',
    '2s',
    '999999999999d',
    '64KiB',
    '999999999999999GB',
    'true',
    'false',
    'pretty',
    '*',
  ),
  fc.constantFrom(
    'file:///x',
    'file://h/x',
    'file:///%00',
    'file:///%2f',
    's3://b',
    'postgres://h',
    'ftp://a:b@c',
    folder,
  ),
);
const flag = fc.oneof(
  fc.constantFrom(...roots, 'config', 'help', 'version').map((name) => `--${name.replaceAll('_', '-')}`),
  fc.constantFrom(...odd).map((name) => `--${name}`),
  text,
);
const argv = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.tuple(flag, text) },
    { weight: 1, arbitrary: fc.tuple(flag) },
    { weight: 1, arbitrary: fc.tuple(flag, text).map(([name, value]) => [`${name}=${value}`]) },
  ),
  { maxLength: 4 },
);
const variable = fc.oneof(
  fc.constantFrom(...roots).map((name) => `KEFU_${name.toUpperCase()}`),
  fc.constantFrom(...paths).map(([section, key]) => `KEFU_${section}_${key}`.toUpperCase()),
  fc.constantFrom(...odd).map((name) => `KEFU_${name}`),
  text,
);
const tomlValue = fc.oneof(
  text,
  fc.integer(),
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.boolean(),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
  fc.array(text, { maxLength: 3 }),
  fc.constant({}),
  fc.constant({ a: { b: 1 } }),
);
const name = fc.constantFrom(...roots, ...paths.map(([, key]) => key), ...odd);
const table = fc.dictionary(
  fc.oneof(fc.constantFrom(...roots, ...Object.keys(sections)), name),
  fc.oneof(tomlValue, fc.dictionary(name, tomlValue, { maxKeys: 4 })),
  { maxKeys: 5 },
);

t.test('whatever the flags and the environment are, it loads or is refused in one line', async (t) => {
  fc.assert(
    fc.property(argv, fc.dictionary(variable, text, { maxKeys: 4 }), (args, env) =>
      isLawful(args.flat(), env),
    ),
    { numRuns: 3000 },
  );
  t.pass();
});

t.test('whatever valid TOML the file holds, it loads or is refused in one line', async (t) => {
  fc.assert(
    fc.property(table, (content) => {
      writeFileSync(file, stringify(content));
      return isLawful(['--config', file], {});
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

t.test('whatever bytes the file holds, it loads or is refused in one line', async (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        text.map((it) => Buffer.from(it)),
        fc.uint8Array({ maxLength: 200 }),
      ),
      (content) => {
        writeFileSync(file, content);
        return isLawful(['--config', file], {});
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});
