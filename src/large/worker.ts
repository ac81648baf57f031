import { parentPort, workerData } from 'node:worker_threads';
import { understand } from '../apono/understand.ts';
import type { RowPlan } from '../kinds/kind.ts';
import { planStored, type StoredEvent } from '../kinds/plan-stored.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import type { RowText } from '../sentinel/row.ts';
import type { Operations, Request, Settings } from './protocol.ts';

/** The thread of thread.ts. */
const settings = workerData as Settings;
/** The event whose rows were asked for last: the next range is most likely of the same. */
let planned: { readonly eventId: string; readonly plan: RowPlan } | null = null;

async function understandBody(args: Operations['understand']['args']): Promise<Operations['understand']['result']> {
  const mappingFailures: object[] = [];
  const log = { error: (fields: object) => void mappingFailures.push(fields) };
  const understood = await understand(args.body, args.receivedAt, { ...settings, kinds, log });
  return { understood, mappingFailures };
}

function rowsOf({ eventId, event, range, maxBytes }: Operations['rows']['args']): Operations['rows']['result'] {
  const rows: RowText[] = [];
  try {
    if (planned?.eventId !== eventId) {
      planned = null;
      if (event === null) return { missing: true };
      planned = { eventId, plan: plan(event) };
    }
    let bytes = 0;
    for (const row of planned.plan.rows(range)) {
      rows.push(row);
      bytes += row.bytes;
      if (bytes >= maxBytes) break;
    }
    // Nothing more will be asked of it.
    if (range[0] + rows.length >= range[1]) planned = null;
    return { rows };
  } catch (error) {
    return { rows, failed: error instanceof Error ? error.name : 'unknown' };
  }
}

function plan(event: StoredEvent): RowPlan {
  const kind = kindNamed(event.kind);
  if (kind === undefined) throw new TypeError(`there is no kind ${event.kind}`);
  return planStored(kind, event);
}

parentPort?.on('message', async (request: Request) => {
  parentPort?.postMessage(request.op === 'understand' ? await understandBody(request) : rowsOf(request));
});
