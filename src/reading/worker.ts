import { parentPort, workerData } from 'node:worker_threads';
import { understand } from '../intake/understand.ts';
import type { RowPlan } from '../kinds/kind.ts';
import { planStored, type StoredEvent } from '../kinds/plan-stored.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import type { RowText } from '../sentinel/row.ts';
import type { Operations, Reply, Request, Settings, UnderstoodBody } from './protocol.ts';

/** The thread of thread.ts. */
const settings = workerData as Settings;
/** The event whose rows were asked for last: the next range is most likely of the same. */
let planned: { readonly eventId: string; readonly plan: RowPlan } | null = null;

async function understandAll({ bytes, bodies }: Operations['understand']['args']): Promise<UnderstoodBody[]> {
  const results: UnderstoodBody[] = [];
  let start = 0;
  for (const { length, receivedAt, ...body } of bodies) {
    const mappingFailures: object[] = [];
    const log = { error: (fields: object) => void mappingFailures.push(fields) };
    const own = bytes.subarray(start, start + length);
    start += length;
    const understood = await understand({ ...body, bytes: own }, receivedAt, { ...settings, kinds, log });
    results.push({ understood, mappingFailures });
  }
  return results;
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

function post(reply: Reply): void {
  parentPort?.postMessage(reply);
}

let last: Promise<void> = Promise.resolve();
parentPort?.on('message', (request: Request) => {
  // A body of many events lets others have their turn, and results come in the order of the requests.
  last = last.then(async () => post(request.op === 'understand' ? await understandAll(request) : rowsOf(request)));
});
post('ready');
