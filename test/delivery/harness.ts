import type { TestContext } from 'node:test';
import type { TokenCredential } from '@azure/core-auth';
import { pino } from 'pino';
import { createCredential } from '../../src/azure/credential.ts';
import { explainUpload } from '../../src/azure/fixes.ts';
import { createIngestion } from '../../src/azure/ingestion.ts';
import { createTokenCache } from '../../src/azure/token-cache.ts';
import { clouds, ingestionScope } from '../../src/config/clouds.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import { createDelivery, type Delivery } from '../../src/delivery/delivery.ts';
import { type DeliveryEvent, type Hold, logDelivery, type UploadEvent } from '../../src/delivery/event.ts';
import type { Ingestion } from '../../src/delivery/outcome.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kinds as allKinds } from '../../src/kinds/registry.ts';
import type { Claimed, OutboxStats, Queue, Receive, Received } from '../../src/outbox/port.ts';
import type { Store } from '../../src/outbox/store.ts';
import type { Row } from '../../src/sentinel/row.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import type { RecordedRequest } from '../support/azure/requests.ts';
import type { EmulatorOptions } from '../support/azure/state.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { openTestStore } from '../support/store.ts';

export const FLUSH_MS = 1_000;

export interface DeliveryFixture {
  readonly emulator: Emulator;
  /** Of outbox, tokens, ingestion and delivery. It starts now, since the emulator's tokens live by the real time. */
  readonly clock: ManualClock;
  readonly delivery: Delivery;
  /** What delivery reported, in order. */
  readonly uploads: UploadEvent[];
  readonly retries: { failures: number; delayMs: number }[];
  readonly holds: Hold[];
  readonly reminders: Hold[];
  readonly ended: Hold[];
  readonly delivered: { kind: string; rows: number }[];
  readonly buried: { eventId: string; rows: number; code: string }[];
  readonly logLines: Record<string, unknown>[];
  readonly outbox: Store;
  /** What the webhook port hands bodies to. */
  readonly receive: Receive;
  send(body: string): Promise<Received>;
  /** As `send`, and lets the time for company pass until delivery has begun to send. */
  sendAndFlush(body: string): Promise<Received>;
  /** Uploads under way. */
  inFlight(): number;
  stats(): Promise<OutboxStats>;
  waiting(): Promise<number>;
  /** Requests to Logs Ingestion so far. */
  calls(): RecordedRequest[];
  rows(stream?: string): readonly Row[];
}

export interface DeliveryFixtureOptions {
  readonly emulator?: Partial<EmulatorOptions>;
  readonly kinds?: readonly WebhookKind[];
  readonly streams?: Readonly<Record<string, string | null>>;
  /** For the jitter; default 1 − ε, so that delays are whole. */
  readonly random?: () => number;
  readonly autoStart?: boolean;
  /** In place of a clock of its own that starts now. */
  readonly clock?: ManualClock;
  /** In place of the SDK's, which reckons expiry by the machine's clock. */
  readonly createCredential?: (emulator: Emulator) => TokenCredential;
  /** Happens between a claim of delivery and what it does with it; if it throws, the claim seems to fail. */
  readonly afterClaim?: (outbox: Store, claimed: Claimed) => Promise<void>;
}

/** Emulator, SQLite outbox, token cache, the SDK's client and delivery, as the service puts them together. */
export async function startDelivery(t: TestContext, options: DeliveryFixtureOptions = {}): Promise<DeliveryFixture> {
  const emulator = await startTestEmulator(t, options.emulator);
  const clock = options.clock ?? manualClock(Date.now());
  const logLines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void logLines.push(JSON.parse(line)) });
  const { tenantId, clientId, clientSecret, ruleId, origin } = emulator;
  const credential: CredentialConfig = {
    type: 'secret',
    tenantId,
    clientId,
    clientSecret,
    expiresAt: null,
    authorityHost: origin,
    instanceDiscovery: false,
  };
  const cloud = clouds.public;
  const tokens = createTokenCache({
    createCredential: () => options.createCredential?.(emulator) ?? createCredential(credential),
    scope: ingestionScope(cloud),
    clock,
    log,
  });
  const { record, ...recorded } = recordEvents();
  const streams = options.streams ?? { request: requestStream };
  const kinds = options.kinds ?? allKinds.filter(({ name }) => name in streams);
  // Nothing is sent before delivery has started, and it looks for everything then.
  let notify: Delivery['notify'] = () => undefined;
  const { store: outbox, receive } = await openTestStore(t, {
    ...{ clock, log, kinds, streams },
    onEvent: (event) => event.type === 'waiting' && notify(event.kind, event.bytes),
  });
  const ingestion = createIngestion({ endpoint: origin, ruleId, tokens, clock });
  let inFlight = 0;
  const counted: Ingestion = {
    async upload(...args) {
      inFlight++;
      return ingestion.upload(...args).finally(() => inFlight--);
    },
  };
  const { afterClaim } = options;
  const interrupted: Queue = {
    ...outbox,
    async claim(request) {
      const claimed = await outbox.claim(request);
      await afterClaim?.(outbox, claimed);
      return claimed;
    },
  };
  const delivery = createDelivery({
    kinds,
    streams,
    outbox: interrupted,
    ingestion: counted,
    explain(result, { stream, streamVariable }, outcome) {
      const context = { stream, streamVariable, ruleId, ruleResourceId: null, endpoint: origin, credential };
      return explainUpload(result, context, outcome);
    },
    clock,
    random: options.random ?? (() => 1 - Number.EPSILON),
    onEvent(event) {
      record(event);
      logDelivery(log, event);
    },
    flushIntervalMs: FLUSH_MS,
  });
  ({ notify } = delivery);
  if (options.autoStart !== false) {
    delivery.start();
    // The look at what waited over a restart is over when it begins to wait.
    await eventually(() => clock.timerCount > 0);
  }
  t.after(async () => {
    await delivery.stop(AbortSignal.abort());
    tokens.close();
  });
  const send = (body: string) => receive({ bytes: Buffer.from(body), feed: null, kind: null });
  const fixture: DeliveryFixture = {
    emulator,
    clock,
    delivery,
    ...recorded,
    logLines,
    outbox,
    receive,
    send,
    async sendAndFlush(body) {
      const before = recorded.uploads.length;
      const received = await send(body);
      if (received.outcome === 'accepted' && received.events.every((event) => event.duplicate)) return received;
      await advanceUntil(fixture, FLUSH_MS, () => inFlight > 0 || recorded.uploads.length > before);
      return received;
    },
    inFlight: () => inFlight,
    stats: () => outbox.stats(),
    waiting: async () => Object.values((await outbox.stats()).waiting).reduce((sum, { count }) => sum + count, 0),
    calls: () => emulator.requests.filter((request) => request.kind === 'ingest'),
    rows: (stream = requestStream) => emulator.rows(stream),
  };
  return fixture;
}

/**
 * Lets the clock go on, a little at a time, until the condition holds: for waits whose exact time does not matter. It
 * stands still while an upload is under way, which would reach its time limit else.
 */
export async function advanceUntil(
  { clock, inFlight }: DeliveryFixture,
  stepMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  await eventually(async () => {
    if (await condition()) return true;
    if (inFlight() === 0) clock.advance(stepMs);
    return false;
  });
}

function recordEvents() {
  const uploads: UploadEvent[] = [];
  const retries: { failures: number; delayMs: number }[] = [];
  const holds: Hold[] = [];
  const reminders: Hold[] = [];
  const ended: Hold[] = [];
  const delivered: { kind: string; rows: number }[] = [];
  const buried: { eventId: string; rows: number; code: string }[] = [];
  const record = (event: DeliveryEvent): void => {
    if (event.type === 'uploaded') uploads.push(event);
    if (event.type === 'retry_scheduled') retries.push(event);
    if (event.type === 'held') holds.push(event.hold);
    if (event.type === 'still_held') reminders.push(event.hold);
    if (event.type === 'hold_ended') ended.push(event.hold);
    if (event.type === 'delivered') delivered.push({ kind: event.kind, rows: event.rows });
    if (event.type === 'buried') buried.push(event);
  };
  return { record, uploads, retries, holds, reminders, ended, delivered, buried };
}

/** A request event; `data` comes on top of what makes it this one. */
export function requestEvent(id: string, data: object = {}): string {
  return JSON.stringify({ event_type: 'RequestGranted', event_time: Date.now() / 1000, data: { id, ...data } });
}

export function units(count: number, name = 'resource'): object {
  const accessUnits = Array.from({ length: count }, (_, index) => ({
    resource: { id: `${name}-${index}`, name: `${name} ${index}` },
    permission: { id: 'READ', name: 'READ' },
  }));
  return { access_groups: [{ integration: { id: 'i', type: 't', name: 'n' }, access_units: accessUnits }] };
}
