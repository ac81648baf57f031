import type { DeclaredColumn } from '../../support/azure/core.ts';

/** Enough of the table to tell rows apart: the emulator then keeps hundreds of thousands of them in little memory. */
export const idColumns: readonly DeclaredColumn[] = [
  { name: 'TimeGenerated', type: 'datetime' },
  { name: 'event_id', type: 'string' },
  { name: 'row_id', type: 'string' },
];
