import { isatty } from 'node:tty';
import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

/** Whatever a careless line may hold, these never leave the process. */
const secret = ['token', 'password', 'authorization', 'secret', 'body', 'text'];
const redact = { paths: secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '…' };
/** Standard error: what is printed on standard output is for whoever started it. */
const output = 2;

/** JSON, or for people; the same in the main thread and in workers, which write by themselves. */
export type Log = Logger;

export function createLog(options: { readonly level: string; readonly format: string }): Logger {
  // By number: a worker's own `process.stderr` is a pipe to the main thread, and no terminal.
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && isatty(output));
  const settings = { level: options.level, redact, base: null };
  if (!isPretty) return pino(settings, pino.destination({ dest: output, sync: true }));
  return pino(
    settings,
    pretty({ destination: output, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' }),
  );
}
