import { spawnSync, type SpawnOptions } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { StartError } from '../core/start-error.ts';

/**
 * Under whom the embedded PostgreSQL runs. It refuses root, so under root it is `nobody`, or whoever owns the data
 * already. Where that user may not pass through the folders above (/root is closed to it), it is given the one
 * capability that lets it pass.
 */
export interface PostgresUser {
  /** Whom its files must belong to; undefined: us. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** A command as that user; `signal`: what it gets from the kernel when this process dies. */
  command(binary: string, args: readonly string[], signal: 'INT' | 'KILL'): Command;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: SpawnOptions;
}

const nobody = 65_534;
/** In the order of how much they allow. Containers often lack the first; the second lets it write, too. */
const passes = ['dac_read_search', 'dac_override'] as const;

/** Finds out by trying, as rights depend on more than modes: whether that user can run `binaries` and enter `folders`. */
export function choosePostgresUser(
  binaries: string,
  folders: readonly string[],
  cluster: string,
): PostgresUser {
  const setpriv = findTool('setpriv');
  if (process.getuid?.() !== 0) return sameUser(setpriv);
  const owner = ownerOf(cluster);
  // initdb asks with access(2), which leaves an ordinary user's capabilities out but for this bit.
  const bits = '--securebits=+no_setuid_fixup';
  const capabilities = [
    [],
    ...passes.map((pass) => [bits, `--inh-caps=+${pass}`, `--ambient-caps=+${pass}`]),
  ];
  const candidates = [
    ...(setpriv === undefined ? [] : capabilities.map((given) => setprivAs(setpriv, owner, given))),
    spawnedAs(owner),
  ];
  let why = '';
  for (const candidate of candidates) {
    const found = tryOut(candidate, join(binaries, 'postgres'), folders);
    if (found === undefined) return candidate;
    why ||= found;
  }
  throw new StartError(
    `PostgreSQL may not run as root, and user ${owner.uid} can’t use ${binaries} or ${folders[0]} (${why}): put both into ` +
      `folders open to all, ${setpriv === undefined ? 'install setpriv (util-linux), ' : ''}start kefu as another user, or give --postgres URL`,
  );
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Who has the data from an earlier start. */
function ownerOf(cluster: string): Owner {
  const stat = statSync(cluster, { throwIfNoEntry: false });
  return stat === undefined || stat.uid === 0
    ? { uid: nobody, gid: nobody }
    : { uid: stat.uid, gid: stat.gid };
}

function sameUser(setpriv: string | undefined): PostgresUser {
  return {
    uid: undefined,
    gid: undefined,
    command: (binary, args, signal) =>
      setpriv === undefined
        ? { file: binary, args, options: { cwd: '/' } }
        : { file: setpriv, args: ['--pdeathsig', signal, '--', binary, ...args], options: { cwd: '/' } },
  };
}

function spawnedAs(owner: Owner): PostgresUser {
  return { ...owner, command: (file, args) => ({ file, args, options: { cwd: '/', ...owner } }) };
}

function setprivAs(setpriv: string, owner: Owner, capabilities: readonly string[]): PostgresUser {
  const user = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', ...capabilities];
  return {
    ...owner,
    command: (binary, args, signal) => ({
      file: setpriv,
      args: [...user, '--pdeathsig', signal, '--', binary, ...args],
      options: { cwd: '/' },
    }),
  };
}

/** Undefined when it works; else what was said. */
function tryOut(user: PostgresUser, postgres: string, folders: readonly string[]): string | undefined {
  const script =
    'for d; do [ -d "$d/." ] || { echo "no way into $d" >&2; exit 1; }; done; ' +
    '[ -x "$0" ] || { echo "$0 is closed" >&2; exit 1; }; exec "$0" --version';
  const { file, args, options } = user.command('/bin/sh', ['-c', script, postgres, ...folders], 'KILL');
  const run = spawnSync(file, args, { ...options, encoding: 'utf8', timeout: 10_000 });
  if (run.status === 0) return undefined;
  const said = (run.stderr || run.error?.message || 'it does not run').trim();
  return said.split('\n').at(-1)!;
}

function findTool(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter))
    try {
      const path = join(folder, name);
      if (folder === '') continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  return undefined;
}
