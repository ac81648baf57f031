import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/ground/log.ts';
import type { Row } from '../../src/sentinel/row.ts';
import { type Service, startService } from '../../src/service.ts';
import { Exposition } from '../metrics/exposition.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { azureEnv, heartbeatStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';

export const SECRET = 'a-secret-for-the-tests';
export const MINUTE_MS = 60_000;

type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

export interface HeartbeatFixture {
  readonly emulator: Emulator;
  /** The service's. Let time pass only while no upload is under way: it has a limit of 30 s. */
  readonly clock: ManualClock;
  readonly logs: readonly Json[];
  /** Heartbeat rows as Azure has stored them, and as they were sent, whatever came of it. */
  rows(): readonly Row[];
  readonly sent: readonly Row[];
  post(body: string, headers?: Record<string, string>): Promise<Answer>;
  get(pathname: string): Promise<Answer>;
  metrics(): Promise<Exposition>;
  /** Waits until so many tries have come to their end; fails when there are more. */
  tries(count: number): Promise<void>;
  /** Waits for what needs no time by the service's clock: delivery, whose flush interval is 0. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  /** How long it took by the service's clock. */
  stop(): Promise<number>;
}

export interface HeartbeatFixtureOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Before the service starts, and with it the first row. */
  readonly prepare?: (emulator: Emulator) => void;
}

/** The real service in this process, in front of the emulator, with a heartbeat each minute of a clock that stands still. */
export async function startWithHeartbeat(
  t: TestContext,
  { env = {}, prepare = () => {} }: HeartbeatFixtureOptions = {},
): Promise<HeartbeatFixture> {
  const emulator = await startTestEmulator(t);
  const sent: Row[] = [];
  const matchesRow = (row: Row) => sent.push(row) < 0;
  emulator.plan({ target: 'ingest', stream: heartbeatStream, matchesRow, answer: { type: 'pass' }, times: 'forever' });
  prepare(emulator);
  const clock = manualClock(Date.now());
  const logs: Json[] = [];
  const service = await start(t, emulator, clock, logs, env);
  const url = (port: number | null, pathname: string) => `http://127.0.0.1:${port}${pathname}`;
  const metrics = async () =>
    new Exposition(await fetch(url(service.adminPort, '/metrics')).then((response) => response.text()));
  const tries = async () => (await metrics()).sum('apono_sentinel_heartbeats_total');
  const fixture: HeartbeatFixture = {
    emulator,
    clock,
    logs,
    sent,
    rows: () => emulator.rows(heartbeatStream),
    post: (body, headers = { authorization: `Bearer ${SECRET}` }) =>
      answerOf(fetch(url(service.port, '/apono/webhook'), { method: 'POST', body, headers })),
    get: (pathname) => answerOf(fetch(url(service.port, pathname))),
    metrics,
    async tries(count) {
      // The metric, which costs a request, follows soon after.
      await emulator.waitFor(() => sent.length >= count);
      let ended = 0;
      await eventually(async () => {
        ended = await tries();
        return ended >= count;
      }, tries);
      assert.equal(ended, count);
    },
    until: (condition) =>
      eventually(() => {
        clock.advance(0);
        return condition();
      }),
    stop: () => stopBy(clock, service),
  };
  return fixture;
}

async function start(
  t: TestContext,
  emulator: Emulator,
  clock: ManualClock,
  logs: Json[],
  env: Readonly<Record<string, string>>,
): Promise<Service> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-heartbeat-'));
  const { config, problems } = loadConfig({
    APONO_WEBHOOK_SECRET: SECRET,
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    DATA_DIR: dataDir,
    FLUSH_INTERVAL_MS: '0',
    HEARTBEAT_INTERVAL_MINUTES: '1',
    ...azureEnv(emulator),
    ...env,
  });
  assert.ok(config !== null, JSON.stringify(problems));
  const service = await startService({
    config,
    version: '1.2.3',
    clock,
    log: createLogger('debug', { write: (line) => void logs.push(JSON.parse(line)) }),
    onFatal: (error) => assert.fail(error),
  });
  t.after(async () => {
    await stopBy(clock, service);
    await rm(dataDir, { recursive: true, force: true });
  });
  return service;
}

/** A stop gives open connections a second, so that the clock has to go on. */
async function stopBy(clock: ManualClock, service: Service): Promise<number> {
  const startedAt = clock.now();
  let isStopped = false;
  const stopped = service.stop().finally(() => {
    isStopped = true;
  });
  await eventually(() => {
    if (!isStopped) clock.advance(100);
    return isStopped;
  });
  await stopped;
  return clock.now() - startedAt;
}

async function answerOf(answer: Promise<Response>): Promise<Answer> {
  const response = await answer;
  return { status: response.status, body: (await response.json()) as Json };
}
