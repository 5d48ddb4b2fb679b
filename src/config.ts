import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import { rootKeys, sections, type Key } from './config/keys.ts';
import { helpText } from './config/help.ts';
import { ConfigError, valueOf } from './config/values.ts';

/** The configuration: flags win over KEFU_* variables, those over the TOML file, that over the defaults. */

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
type Suffix<K extends Key> = K['kind'] extends 'ms' ? 'Ms' : '';
type Value<K extends Key> = K['kind'] extends 'count' | 'ms' | 'bytes'
  ? number
  : K['kind'] extends 'flag'
    ? boolean
    : K['kind'] extends 'list'
      ? readonly string[]
      : K extends { readonly choices: infer C extends readonly string[] }
        ? C[number]
        : string;
type Section<S extends Record<string, Key>> = {
  readonly [N in keyof S & string as `${Camel<N>}${Suffix<S[N]>}`]: Value<S[N]>;
};
type Sections = { readonly [N in keyof typeof sections]: Section<(typeof sections)[N]> };

/** Plain data, so that worker threads get it too. Durations end in Ms. */
export interface Config extends Omit<Sections, 'postgres'> {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly workers: number;
  readonly objectsDir: string;
  readonly nodeId: string;
  readonly demo: boolean;
  /** `url` is empty for the embedded PostgreSQL. */
  readonly postgres: { readonly url: string; readonly sharedBuffersBytes: number };
}

type Given = Map<string, { readonly value: unknown; readonly where: string }>;

/** Undefined when `--help` or `--version` was asked for and has been printed. Throws ConfigError. */
export function loadConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (text: string) => void = (text) => void process.stdout.write(text),
): Config | undefined {
  if (argv.includes('--help') || argv.includes('-h')) {
    print(helpText());
    return undefined;
  }
  if (argv.includes('--version')) {
    const about = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    print(`kefu ${about.version}\n`);
    return undefined;
  }
  const flags = fromFlags(argv);
  const variables = fromEnvironment(env);
  const file = flags.get('config') ?? variables.get('config');
  const given: Given = new Map([...(file === undefined ? [] : fromFile(file)), ...variables, ...flags]);
  return assemble(given);
}

function fromFlags(argv: readonly string[]): Given {
  const given: Given = new Map();
  for (let index = 0; index < argv.length; index += 1) {
    const [flag = '', inline] = argv[index]!.split(/=(.*)/s, 2);
    const name = flag.replace(/^--/, '').replaceAll('-', '_');
    const key = flagKeys.get(name);
    if (!flag.startsWith('--') || key === undefined || flag.includes('_'))
      throw new ConfigError(`${flag || '""'}: there is no such flag; see --help`);
    if (key.kind === 'flag' && inline === undefined) {
      given.set(name, { value: true, where: flag });
      continue;
    }
    const value = inline ?? argv[(index += 1)];
    // A flag is nobody's value: `--host --demo` has lost its host.
    if (value === undefined || (inline === undefined && value.startsWith('--')))
      throw new ConfigError(`${flag}: a value must follow`);
    given.set(name, { value, where: flag });
  }
  return given;
}

const flagKeys: ReadonlyMap<string, Key> = new Map<string, Key>([
  ...Object.entries(rootKeys),
  ['config', { kind: 'text', default: '', about: 'A TOML file with any of the keys below.' }],
]);
/** Read by the server in its crash tests, and no setting. */
const otherVariables = new Set(['KEFU_TEST_HOOKS']);

function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Given {
  const names = new Map<string, string>([['KEFU_CONFIG', 'config']]);
  for (const name of Object.keys(rootKeys)) names.set(`KEFU_${name.toUpperCase()}`, name);
  for (const [section, keys] of Object.entries(sections))
    for (const name of Object.keys(keys))
      names.set(`KEFU_${section.toUpperCase()}_${name.toUpperCase()}`, `${section}.${name}`);
  const given: Given = new Map();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('KEFU_') || value === undefined || otherVariables.has(variable)) continue;
    const name = names.get(variable);
    if (name === undefined)
      throw new ConfigError(`${variable}: there is no such setting; see docs/configuration.md`);
    given.set(name, { value, where: variable });
  }
  return given;
}

function fromFile({ value, where }: { value: unknown; where: string }): Given {
  const path = String(value);
  let table: Record<string, unknown>;
  try {
    table = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = (error as Error).message.split('\n', 1)[0];
    throw new ConfigError(`${where}: ${path} can’t be read as TOML: ${why}`);
  }
  const given: Given = new Map();
  for (const [name, entry] of Object.entries(table)) {
    // A date is an object too, and no key's value.
    const isTable =
      typeof entry === 'object' && entry !== null && !Array.isArray(entry) && !(entry instanceof Date);
    if (!isTable) {
      if (!Object.hasOwn(rootKeys, name))
        throw new ConfigError(`${path}: there is no key ${name}; see docs/configuration.md`);
      given.set(name, { value: entry, where: `${path}: ${name}` });
      continue;
    }
    if (!Object.hasOwn(sections, name))
      throw new ConfigError(`${path}: there is no section ${name}; see docs/configuration.md`);
    const keys = (sections as Record<string, Record<string, Key>>)[name]!;
    for (const [key, inner] of Object.entries(entry)) {
      if (!Object.hasOwn(keys, key))
        throw new ConfigError(`${path}: there is no key ${name}.${key}; see docs/configuration.md`);
      given.set(`${name}.${key}`, { value: inner, where: `${path}: ${name}.${key}` });
    }
  }
  return given;
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function assemble(given: Given): Config {
  const read = (path: string, key: Key): unknown => {
    const entry = given.get(path);
    return entry === undefined ? key.default : valueOf(key, entry.value, entry.where);
  };
  const root = Object.fromEntries(
    Object.entries(rootKeys).map(([name, key]) => [name, read(name, key)]),
  ) as Record<keyof typeof rootKeys, never>;
  const built = Object.fromEntries(
    Object.entries(sections).map(([section, keys]) => [
      section,
      Object.fromEntries(
        Object.entries(keys as Record<string, Key>).map(([name, key]) => [
          camel(name) + (key.kind === 'ms' ? 'Ms' : ''),
          read(`${section}.${name}`, key),
        ]),
      ),
    ]),
  ) as unknown as Sections;
  const text = root as Record<string, string>;
  const dataDir = resolve(text['data_dir']!);
  const { postgres, ...others } = built;
  const config: Config = {
    ...others,
    host: hostOf(text['host']!, root.demo),
    port: root.port,
    dataDir,
    workers: Number(root.workers) === 0 ? availableParallelism() : root.workers,
    objectsDir: objectsOf(text['objects']!, dataDir),
    nodeId: text['node_id']!,
    demo: root.demo,
    postgres: { url: text['postgres']!, sharedBuffersBytes: postgres.sharedBuffers },
  };
  check(config, text);
  return config;
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

function hostOf(host: string, demo: boolean): string {
  if (!demo) return host === '' ? '0.0.0.0' : host;
  if (host === '') return '127.0.0.1';
  if (loopback.test(host)) return host;
  throw new ConfigError(
    `--demo: everybody knows its passwords, so it does not listen on ${host}; leave --host out`,
  );
}

function objectsOf(url: string, dataDir: string): string {
  if (url === '') return join(dataDir, 'objects');
  if (url.startsWith('s3:'))
    throw new ConfigError('--objects: S3 comes with a later version; use file:///DIR, or leave it out');
  try {
    return fileURLToPath(url);
  } catch {
    throw new ConfigError(`--objects: ${JSON.stringify(url).slice(0, 80)} is not a URL like file:///DIR`);
  }
}

/** What no single key can know. */
function check(config: Config, root: Record<string, string>): void {
  const { tls, nodeId, postgres, auth, http, limits } = config;
  if (root['data_dir'] === '')
    throw new ConfigError('--data-dir: a folder must be named; leave it out for ./data');
  if (root['nats'] !== '')
    throw new ConfigError('--nats: clusters come with a later version; leave --nats out');
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(nodeId))
    throw new ConfigError('--node-id: 1 to 32 of a to z, 0 to 9, - and _, and a letter or digit first');
  if (postgres.url !== '' && !/^postgres(?:ql)?:\/\//.test(postgres.url))
    throw new ConfigError(
      '--postgres: its value is not a URL like postgres://USER:PASSWORD@HOST:5432/DATABASE',
    );
  if ((tls.cert === '') !== (tls.key === ''))
    throw new ConfigError('tls.cert and tls.key: give both, or none');
  for (const [key, file] of Object.entries(tls)) {
    if (file !== '' && !isFile(file)) throw new ConfigError(`tls.${key}: there is no readable file ${file}`);
  }
  if (auth.tokenKey !== '' && auth.tokenKey.split(',').some((key) => Buffer.byteLength(key) < 32))
    throw new ConfigError('auth.token_key: each key must have 32 bytes or more');
  for (const origin of http.origins) {
    // As browsers write it, or it would never match; apps have schemes of their own.
    if (origin !== '*' && !/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#A-Z]+$/.test(origin))
      throw new ConfigError(
        `http.origins: ${JSON.stringify(origin).slice(0, 80)} is not an origin like https://shop.example.com, or *`,
      );
  }
  if (limits.outputBytes < limits.frameBytes)
    throw new ConfigError(
      'limits.output_bytes: must not be below limits.frame_bytes, or no large event gets through',
    );
}

function isFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
