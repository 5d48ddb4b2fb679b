import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

export function findChromium(): string | undefined {
  const given = process.env['CHROMIUM_PATH'];
  return [...(given === undefined ? [] : [given]), ...places].find((path) => existsSync(path));
}

/** Finds Chromium, or installs it with the system's packages when that is allowed; else says in one line how to. */
export function ensureChromium(): string | undefined {
  const found = findChromium();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stdout.write('installing Chromium for the browser tests …\n');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = {
      env,
      stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
      timeout: 400_000,
    };
    spawnSync('apt-get', ['update', '-qq'], options);
    spawnSync(
      'apt-get',
      ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-noto-cjk'],
      options,
    );
  }
  const installed = findChromium();
  if (installed === undefined)
    process.stderr.write('the browser tests need Chromium: apt-get install chromium, or set CHROMIUM_PATH\n');
  return installed;
}
