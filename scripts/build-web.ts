import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Builds the pages when they are missing or older than anything they are made of; else it costs a few stats. */

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = ['web', 'src/protocol', 'package-lock.json'];
const product = join(root, 'dist/web/widget.html');

function newest(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** True when the pages are there. */
export function buildWeb(): boolean {
  const isFresh =
    existsSync(product) &&
    statSync(product).mtimeMs >= Math.max(...sources.map((source) => newest(join(root, source))));
  if (isFresh) return true;
  if (!existsSync(join(root, 'node_modules/vite'))) {
    process.stderr.write('the pages can’t be built without the development packages: run npm ci\n');
    return existsSync(product);
  }
  process.stdout.write('building the pages …\n');
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const build = spawnSync(
    process.execPath,
    [vite, 'build', '--config', 'web/vite.config.ts', '--logLevel', 'warn'],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  return build.status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !buildWeb()) process.exit(1);
