import { pino, type Logger } from 'pino';
export function createLog(options: { level: string; format: string }): Logger {
  return pino({ level: options.level });
}
