import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * One JSON line an entry. Call it with fields that were chosen one by one, never with a request, a body, headers or an
 * error of a library's as a whole: what is not passed in cannot leak.
 * `destination` is stderr: stdout belongs to the commands' results.
 */
export function createLogger(level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: createTimestamp(),
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    destination,
  );
}

/** As pino's `isoTime`; but a date is made once a second instead of once a line, which is a sixth of what a line costs. */
function createTimestamp(): () => string {
  let second = Number.NaN;
  let text = '';
  return () => {
    const now = Date.now();
    if (Math.floor(now / 1000) !== second) {
      second = Math.floor(now / 1000);
      text = new Date(now).toISOString().slice(0, -'000Z'.length);
    }
    return `,"time":"${text}${String(now - second * 1000).padStart(3, '0')}Z"`;
  };
}
