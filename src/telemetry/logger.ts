import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/config.ts';

export type { Logger };

/**
 * One JSON line an entry. Call it with fields that were chosen one by one, never with a request, a body, headers or an
 * error of a library's as a whole: what is not passed in cannot leak.
 * `destination` is stderr: stdout belongs to the commands' results.
 */
export function createLogger(level: Config['logLevel'], destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    destination,
  );
}
