import table from '../../../schemas/tables/AponoAccessRequests_CL.json' with { type: 'json' };
import type { TableSchema } from '../../sentinel/table.ts';
import { rowPlanner } from '../plan.ts';

export const requestTable = table as TableSchema;

export const planRequestRows = rowPlanner(requestTable);
