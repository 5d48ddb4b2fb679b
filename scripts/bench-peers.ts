import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** What the benchmarks compare kefu with comes from Debian's packages; without them those peers are left out with a word. */
const packages = ['redis-server', 'ejabberd', 'erlang-p1-pgsql', 'erlang-base'];
const programs = ['/usr/bin/redis-server', '/usr/sbin/ejabberdctl', '/usr/bin/erl'];
const waitMs = 300_000;

export function installPeers(): void {
  if (programs.every((path) => existsSync(path))) return;
  const line = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    process.stderr.write(`the benchmarks’ peers are not all installed: ${line}\n`);
    return;
  }
  process.stdout.write(`installing ${packages.join(', ')} for the benchmarks …\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const stdio = ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'];
  spawnSync('apt-get', ['update', '-qq'], { env, stdio, timeout: waitMs });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
    env,
    stdio,
    timeout: waitMs,
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) installPeers();
