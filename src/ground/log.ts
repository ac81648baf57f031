import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger };

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * Writes each entry as one JSON line. Call it with fields that were chosen one by one, never with a request, a body,
 * headers or a library's error as a whole: what is not passed in cannot leak.
 * `destination` is stderr, since stdout belongs to the results of the commands. A line is handed to it at once: a line
 * that waited in this process would be lost with a kill.
 */
export function createLogger(level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    destination,
  );
}
