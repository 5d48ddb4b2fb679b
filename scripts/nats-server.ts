import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const places = ['/usr/sbin', '/usr/bin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'];

function findNatsServer(): string | undefined {
  const given = process.env['NATS_SERVER_PATH'];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((it) => it !== ''), ...places];
  const paths = folders.map((folder) => join(folder, 'nats-server'));
  return [...(given === undefined ? [] : [given]), ...paths].find((path) => existsSync(path));
}

/** Finds nats-server, or installs it with the system's packages when that is allowed; else says in one line how to. */
export function ensureNatsServer(what = 'the tests of the cluster'): string | undefined {
  const found = findNatsServer();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stdout.write(`installing nats-server for ${what} …\n`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = {
      env,
      stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
      timeout: 200_000,
    };
    spawnSync('apt-get', ['update', '-qq'], options);
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'nats-server'], options);
  }
  const installed = findNatsServer();
  if (installed === undefined)
    process.stderr.write(
      `kefu: nats-server is missing, for ${what}: apt-get install nats-server, or set NATS_SERVER_PATH\n`,
    );
  return installed;
}
