import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import { parse } from 'smol-toml';
import { rootKeys, sections, type Key } from './config/keys.ts';
import { helpText } from './config/help.ts';
import type { ObjectsLocation } from './core/objects-url.ts';
import { checkRelations, hostOf, objectsOf, type WhereOf } from './config/relations.ts';
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
export interface Config extends Omit<Sections, 'postgres' | 'nats'> {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly workers: number;
  readonly objects: ObjectsLocation;
  /** The objects were given a place of their own, which other nodes may share. */
  readonly objectsShared: boolean;
  readonly nodeId: string;
  readonly demo: boolean;
  /** `url` is empty for the embedded PostgreSQL. */
  readonly postgres: { readonly url: string; readonly sharedBuffersBytes: number };
  /** `servers` is empty for a node alone. */
  readonly nats: Omit<Sections['nats'], 'url'> & { readonly servers: readonly string[] };
}

/** By `key` or `section.key`; `where` is what its source calls it. */
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
    // Not shown: it may be a URL with a password that has lost its flag.
    if (!flag.startsWith('--'))
      throw new ConfigError(`argument ${index + 1}: a flag starts with --; see --help`);
    const name = flag.slice(2).replaceAll('-', '_');
    const key = flagKeys.get(name);
    if (key === undefined || flag.includes('_'))
      throw new ConfigError(`${flag}: there is no such flag; see --help`);
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
    put(given, name, value, variable);
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
      put(given, `${name}.${key}`, inner, `${path}: ${name}.${key}`);
    }
  }
  return given;
}

/** One entry of a source, under the first of its names. */
function put(given: Given, path: string, value: unknown, where: string): void {
  const [section = '', name = ''] = path.split('.');
  const to = (sections as Record<string, Record<string, Key>>)[section]?.[name]?.same ?? path;
  const other = given.get(to);
  if (other !== undefined)
    throw new ConfigError(`${where}: the same as ${other.where}; leave one of them out`);
  given.set(to, { value, where });
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A name that no other node has, as far as that can be had without asking. */
function nodeIdOf(given: string, clustered: boolean, port: number): string {
  if (given !== '' || !clustered) return given === '' ? 'node' : given;
  const host = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-');
  return `${host.replace(/^-+/, '').slice(0, 25)}-${port}`;
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
  const whereOf: WhereOf = (path) => given.get(path)?.where ?? path;
  const text = root as Record<string, string>;
  const dataDir = resolve(text['data_dir']!);
  const { postgres, nats, ...others } = built;
  const servers = text['nats']!.split(',').filter((url) => url.trim() !== '');
  const config: Config = {
    ...others,
    host: hostOf(text['host']!, root.demo, whereOf('host')),
    port: root.port,
    dataDir,
    workers: Number(root.workers) === 0 ? availableParallelism() : root.workers,
    objects: objectsOf(text['objects']!, dataDir, whereOf('objects')),
    objectsShared: text['objects'] !== '',
    nodeId: nodeIdOf(text['node_id']!, servers.length > 0, root.port),
    demo: root.demo,
    postgres: { url: text['postgres']!, sharedBuffersBytes: postgres.sharedBuffers },
    nats: { ...nats, servers: servers.map((url) => url.trim()) },
  };
  checkRelations(config, text, whereOf);
  return config;
}
