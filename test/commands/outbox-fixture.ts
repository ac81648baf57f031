import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { type Service, type ServiceFiles, serviceEnv, serviceFiles } from '../support/service-process.ts';
import type { Run } from './support.ts';

export type Json = Record<string, unknown>;
export type Env = Readonly<Record<string, string>>;

export const adminToken = 'the-token-of-the-operator';

/** An event of four rows. */
export const units = (id: string) =>
  JSON.stringify({
    event_type: 'AccessRequestGranted',
    event_time: 1_767_323_045,
    data: {
      id,
      access_groups: [
        { access_units: ['a', 'b', 'c', 'd'].map((name) => ({ resource: { id: `${id}-${name}`, name } })) },
      ],
    },
  });

export const jsonOf = ({ stdout }: Run): Json => JSON.parse(stdout) as Json;
export const recordsOf = (result: Run): Json[] => jsonOf(result)['records'] as Json[];
export const resultsOf = (result: Run): Json[] => jsonOf(result)['results'] as Json[];

export interface Running {
  readonly emulator: Emulator;
  readonly service: Service;
  readonly files: ServiceFiles;
  /** The variables of the commands: nothing of Azure's. */
  readonly env: Env;
}

/** The real service, against an emulator. `over`: variables of both the service and the commands. */
export async function startRunning(t: TestContext, over: Record<string, string> = {}): Promise<Running> {
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const service = await startService(t, { ...serviceEnv(emulator, files), ...over });
  return { emulator, service, files, env: { ...envOf(service, files), ...over } };
}

export function envOf(service: Service, { dataDir }: ServiceFiles): Env {
  return { DATA_DIR: dataDir, ADMIN_PORT: String(service.adminPort) };
}

/** Azure takes all rows but those of resources `…-b` and `…-d`. */
export function refuseSomeRows(emulator: Emulator): void {
  emulator.plan({
    target: 'ingest',
    times: 'forever',
    answer: { type: 'status', status: 400, body: { error: { code: 'InvalidPayload', message: 'no such luck' } } },
    matchesRow: (row) => /-[bd]$/.test(String(row['resource_id'])),
  });
}

/** The event_id of an accepted webhook. */
export async function idOf(response: Response): Promise<string> {
  const answer = (await response.json()) as Json;
  assert.equal(response.status, 200, JSON.stringify(answer));
  return String(answer['event_id']);
}

/** The counts of /healthz. */
export async function healthOf(service: Service): Promise<Json> {
  const answer = (await (await fetch(service.url('/healthz'))).json()) as Json;
  return answer['outbox'] as Json;
}

/** Nothing waits any more or is held, and so many events have dead letters. */
export function settled(service: Service, dead: number): Promise<void> {
  return eventually(async () => {
    const health = await healthOf(service);
    return health['waiting'] === 0 && health['held'] === 0 && health['dead'] === dead;
  });
}

/** Of all rows that Azure has, sorted. */
export const resourceIds = (emulator: Emulator) =>
  emulator
    .rows(requestStream)
    .map((row) => String(row['resource_id']))
    .sort();
