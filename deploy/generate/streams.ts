import { heartbeatDefaultStream, heartbeatStreamVariable, heartbeatTable } from '../../src/heartbeat/row.ts';
import { kinds } from '../../src/kinds/registry.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';

/** A table, and the stream of the data collection rule that fills it. */
export interface TableStream {
  readonly table: TableSchema;
  readonly stream: string;
  /** The service's variable that names the stream. */
  readonly streamVariable: string;
}

/** What the service sends: the feeds of the registry, and the rows about itself. */
export function serviceStreams(): readonly TableStream[] {
  return [
    ...kinds.map(({ table, defaultStream, streamVariable }) => ({ table, stream: defaultStream, streamVariable })),
    { table: heartbeatTable, stream: heartbeatDefaultStream, streamVariable: heartbeatStreamVariable },
  ];
}
