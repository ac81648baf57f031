import type { JsonValue } from '../json.ts';

/** One row as it is sent: every column of its table, null where there is no value. */
export type Row = Readonly<Record<string, JsonValue>>;
