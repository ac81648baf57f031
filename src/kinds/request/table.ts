import table from '../../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import type { TableSchema } from '../../sentinel/table.ts';

export const requestTable = table as TableSchema;
