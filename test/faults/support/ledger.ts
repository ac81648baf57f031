import type { Emulator } from '../../support/azure/emulator.ts';
import type { FaultStep } from '../../support/azure/faults.ts';
import type { RecordedRequest } from '../../support/azure/requests.ts';

/** One call to Logs Ingestion with the ids of its rows; the request's record fills in as it goes on. */
export interface LedgerCall {
  readonly request: RecordedRequest;
  readonly rowIds: readonly string[];
  /** Which process made it: the value of `generation` when it came. */
  readonly generation: number;
}

export interface Ledger {
  readonly calls: readonly LedgerCall[];
  generation: number;
  /** Replaces what is planned for ingest calls. */
  plan(...steps: FaultStep[]): void;
  /** The calls that stored each row, in order. */
  storedBy(): Map<string, LedgerCall[]>;
  storedRows(): number;
}

/**
 * Writes down every call and its rows, beyond what the emulator remembers: two steps that are asked about each call
 * and take none.
 */
export function keepLedger(emulator: Emulator): Ledger {
  const calls: LedgerCall[] = [];
  let rowIds: string[] = [];
  const recorder: readonly FaultStep[] = [
    {
      target: 'ingest',
      times: 'forever',
      answer: { type: 'pass' },
      matchesRow(row) {
        rowIds.push(String(row['row_id']));
        return false;
      },
    },
    {
      target: 'ingest',
      times: 'forever',
      answer: { type: 'pass' },
      matches(request) {
        calls.push({ request, rowIds, generation: ledger.generation });
        rowIds = [];
        return false;
      },
    },
  ];
  const ledger: Ledger = {
    calls,
    generation: 0,
    plan(...steps) {
      emulator.clearPlan('ingest');
      emulator.plan(...recorder, ...steps);
    },
    storedBy() {
      const byRow = new Map<string, LedgerCall[]>();
      for (const call of calls.filter(({ request }) => request.storedRowCount > 0)) {
        for (const rowId of call.rowIds) byRow.set(rowId, [...(byRow.get(rowId) ?? []), call]);
      }
      return byRow;
    },
    storedRows: () => calls.reduce((sum, { request }) => sum + request.storedRowCount, 0),
  };
  ledger.plan();
  return ledger;
}
