import type { Config } from './config.ts';
import type { ConfigProblem } from './parsed.ts';
import { isSet, type Setting } from './read.ts';
import { type Values, variables } from './variables.ts';

const STREAM = 'LOGS_INGESTION_STREAM_HEARTBEAT';
const INTERVAL = 'HEARTBEAT_INTERVAL_MINUTES';
const MINUTE_MS = 60_000;

export function heartbeatOf(values: Values, settings: readonly Setting[]): Config['heartbeat'] {
  const stream = values[STREAM];
  if (stream === null) return null;
  return { stream, isDefaultStream: !isSet(settings, STREAM), intervalMs: values[INTERVAL] * MINUTE_MS };
}

/** What can work and is more likely a mistake. `kinds`: those whose streams the configuration holds. */
export function doubtfulHeartbeat(
  values: Values,
  settings: readonly Setting[],
  kinds: readonly { readonly streamVariable: string }[],
): ConfigProblem[] {
  const { [STREAM]: stream, [INTERVAL]: minutes } = values;
  if (stream === null) {
    return minutes === 0
      ? []
      : [{ name: INTERVAL, message: `has no effect: ${STREAM} is off, so no heartbeat is sent` }];
  }
  if (minutes === 0) {
    const isMeant = isSet(settings, STREAM) && stream !== variables[STREAM].default;
    return isMeant ? [{ name: STREAM, message: `has no effect: ${INTERVAL} is 0, so no heartbeat is sent` }] : [];
  }
  const shared = kinds.find(({ streamVariable }) => streamIn(settings, streamVariable) === stream);
  if (shared === undefined) return [];
  const message = `is the stream of ${shared.streamVariable} too, and Azure drops the columns that the other's table lacks; give each its own`;
  return [{ name: STREAM, message }];
}

function streamIn(settings: readonly Setting[], streamVariable: string): string | null {
  return settings.find(({ name }) => name === streamVariable)?.shown ?? null;
}
