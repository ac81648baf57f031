import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger };

/**
 * Writes each entry as one JSON line. Call it with fields that were chosen one by one, never with a request, a body,
 * headers or a library's error as a whole: what is not passed in cannot leak. `destination` is stderr, since stdout
 * belongs to the results of the commands.
 */
export function createLogger(level: LevelWithSilent, destination: DestinationStream): Logger {
  // Node makes stderr non-blocking if it is a pipe. Lines that do not fit into the pipe would wait in this process, where
  // a kill or `process.exit` loses them, above all those that say why it ended. Node does not document this method; the
  // package set-blocking uses it for the same purpose.
  const { _handle: handle } = destination as { readonly _handle?: { setBlocking?(isBlocking: boolean): void } };
  handle?.setBlocking?.(true);
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
