import table from '../../schemas/tables/AponoProxyHeartbeat_CL.json' with { type: 'json' };
import type { TableSchema } from '../sentinel/table.ts';

/** The rows about the service itself. They are no webhook kind: nothing of Apono's makes them. */
export const heartbeatTable = table as TableSchema;

export const heartbeatStreamVariable = 'LOGS_INGESTION_STREAM_HEARTBEAT';
export const heartbeatDefaultStream = `Custom-${heartbeatTable.name}`;
