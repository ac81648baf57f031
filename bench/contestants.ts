import path from 'node:path';
import { documentedEvents } from './events.ts';
import { closedLoop } from './load.ts';
import { type Azure, drained, type Receiver, type Service, startService } from './processes.ts';

export const THIS_VERSION = 'this version';
export const OTHER_VERSION = 'other version';
export const EXPRESS = 'bare Express';

/** A version of the service. */
export interface Version {
  readonly name: string;
  /** Its checkout. */
  readonly folder: string;
}

/** What all scenarios share. */
export interface Bench {
  readonly azure: Azure;
  /** Answers 503 to all uploads. */
  readonly azureDown: Azure;
  readonly versions: readonly Version[];
  /** How many events the drain begins with. */
  readonly drainEvents: number;
}

export function versionsOf(against: string | undefined): Version[] {
  const own = { name: THIS_VERSION, folder: path.dirname(import.meta.dirname) };
  return against === undefined ? [own] : [own, { name: OTHER_VERSION, folder: path.resolve(against) }];
}

/** One of those that are measured in turn: what the machine does meanwhile hits all of them. */
export interface Contestant {
  readonly name: string;
  readonly receiver: Receiver;
  /** Resolves when it is idle, so that it takes no processor from the next one. */
  settle(): Promise<void>;
}

export function baseline(name: string, receiver: Receiver): Contestant {
  return { name, receiver, settle: () => Promise.resolve() };
}

/** A service of each version in front of an Azure that is well, and one in front of an Azure that is down. */
export async function startVersions({ azure, azureDown, versions }: Bench): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const { name, folder } of versions) {
    const well: Service = await startService(azure, { folder });
    contestants.push({ name: `${name}, Azure well`, receiver: well, settle: () => drained(well) });
    contestants.push(baseline(`${name}, Azure down`, await startService(azureDown, { folder })));
  }
  return contestants;
}

const WARM_UP_REQUESTS = 30_000;
const WARM_UP_MS = 8_000;

/** Load that is not measured: a service runs for weeks, so the time in which V8 compiles it does not count. */
export async function warmUp({ receiver, settle }: Contestant, run: string, maxMs = WARM_UP_MS): Promise<void> {
  const limits = { connections: 64, durationMs: maxMs, requests: WARM_UP_REQUESTS };
  await closedLoop(receiver.target, documentedEvents(`${run}-warm`), limits);
  await settle();
}

export async function stopAll(contestants: readonly Contestant[]): Promise<void> {
  for (const { receiver } of contestants) await receiver.stop();
}
