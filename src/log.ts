import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

/** Whatever a careless line may hold, these never leave the process. */
const secret = ['token', 'password', 'authorization', 'secret', 'body', 'text'];
const redact = { paths: secret.flatMap((name) => [name, `*.${name}`]), censor: '…' };

/** JSON, or for people; the same in the main thread and in workers, which write by themselves. */
export function createLog(options: { readonly level: string; readonly format: string }): Logger {
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const settings = { level: options.level, redact, base: null };
  if (!isPretty) return pino(settings, pino.destination({ fd: 2, sync: true }));
  return pino(
    settings,
    pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' }),
  );
}
