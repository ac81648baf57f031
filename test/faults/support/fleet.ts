import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import type { TestContext } from 'node:test';
import { DEFAULT_SCHEMA } from '../../../src/outbox/postgres/database.ts';
import { query } from '../../outbox/postgres-fixture.ts';
import type { Emulator } from '../../support/azure/emulator.ts';
import { requestStream, startTestEmulator } from '../../support/emulator.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres-server.ts';
import {
  SECRET,
  type ServiceProcess,
  serviceEnv,
  serviceFiles,
  startServiceProcess,
} from '../../support/service-process.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { type Proxy as FrontDoor, startReplicasNginx } from './proxies.ts';
import { callProxy, type ProxyAnswer } from './proxy-client.ts';
import { eventsOf, webhook } from './webhooks.ts';

/** The rows of an event of the load. */
export const ROWS = 2;
const SENDERS = 8;
/** As far away as the real one, so that calls are under way at any moment and their answers can be lost. */
export const AZURE_DELAY_MS = 300;

export interface Replica {
  readonly service: ServiceProcess;
  /** Its row in the table `replicas`. */
  readonly id: number;
  /** Its way to the database. */
  readonly way: TcpProxy;
}

/** Three service processes behind nginx as deploy/ has it, on one database, which each reaches by a way of its own. */
export interface Fleet {
  readonly emulator: Emulator;
  readonly database: PostgresServer;
  readonly proxy: FrontDoor;
  replica(index: number): Replica;
  /** Ends it: with SIGTERM in good order, which is checked. */
  end(index: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** The same replica as a new process, which is ready then. */
  start(index: number): Promise<void>;
  stopDatabase(): Promise<void>;
  startDatabase(): Promise<void>;
  /** How long each call to Azure takes that comes from now on. */
  setAzureDelay(delayMs: number): void;
  /** What a former test left broken is mended, so that one failure is not the next one's. */
  mend(): Promise<void>;
  /** The ids of events that this replica holds, as the database has it. */
  heldBy(replica: Pick<Replica, 'id'>): Promise<string[]>;
  /** The lease of a replica is a minute; no test waits for it. */
  endLease(replica: Pick<Replica, 'id'>): Promise<void>;
  /** Until nothing waits in the database any more. */
  drained(): Promise<void>;
  /** One event through nginx. */
  send(body: string): Promise<ProxyAnswer>;
}

export async function startFleet(t: TestContext): Promise<Fleet> {
  const database = await startPostgres();
  t.after(() => database.cleanup());
  const emulator = await startTestEmulator(t);
  function setAzureDelay(delayMs: number): void {
    emulator.clearPlan('ingest');
    const answer = { type: 'status', status: 204, processed: true, delayMs } as const;
    emulator.plan({ target: 'ingest', times: 'forever', answer });
  }
  setAzureDelay(AZURE_DELAY_MS);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const ways = await Promise.all(ports.map(() => startTcpProxy(database.port)));
  t.after(() => Promise.all(ways.map((way) => way.stop())));
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const replicas: Replica[] = [];
  let isDatabaseUp = true;

  const idsOfReplicas = async (): Promise<number[]> =>
    (await query(database, `SELECT to_regclass('${DEFAULT_SCHEMA}.replicas') IS NOT NULL AS there`))[0]?.['there'] ===
    true
      ? (await query(database, `SELECT id FROM ${DEFAULT_SCHEMA}.replicas`)).map(({ id }) => Number(id))
      : [];

  async function start(index: number): Promise<void> {
    const before = await idsOfReplicas();
    const way = ways[index] ?? assert.fail();
    const OUTBOX_URL = database.url('postgres', way.port);
    const service = await startServiceProcess(t, { ...env, OUTBOX_URL, PORT: String(ports[index]) });
    let [id]: number[] = [];
    await eventually(async () => {
      [id] = (await idsOfReplicas()).filter((each) => !before.includes(each));
      return id !== undefined;
    });
    replicas[index] = { service, id: id ?? assert.fail(), way };
  }

  function replica(index: number): Replica {
    return replicas[index] ?? assert.fail(`there is no replica ${index}`);
  }

  async function startDatabase(): Promise<void> {
    if (!isDatabaseUp) await database.start();
    isDatabaseUp = true;
  }

  // One after the other, so that it is known whose row in the table is whose.
  for (const index of ports.keys()) await start(index);
  const proxy = await startReplicasNginx(t, ports);
  return {
    emulator,
    database,
    proxy,
    replica,
    start,
    async end(index, signal) {
      const { child, exited } = replica(index).service;
      child.kill(signal);
      const ending = await exited;
      if (signal === 'SIGTERM') assert.deepEqual(ending, { code: 0, signal: null });
    },
    async stopDatabase() {
      isDatabaseUp = false;
      await database.stop('immediate');
    },
    startDatabase,
    setAzureDelay,
    async mend() {
      setAzureDelay(AZURE_DELAY_MS);
      await startDatabase();
      for (const way of ways) await way.heal();
      for (const index of ports.keys()) {
        const { child } = replica(index).service;
        if (child.exitCode !== null || child.signalCode !== null) await start(index);
      }
      await eventually(async () => {
        const answers = await Promise.all(replicas.map(({ service }) => fetch(service.url('/readyz'))));
        return answers.every(({ status }) => status === 200);
      });
      await query(database, `DELETE FROM ${DEFAULT_SCHEMA}.bodies; DELETE FROM ${DEFAULT_SCHEMA}.events`);
    },
    heldBy: async ({ id }) =>
      (await query(database, `SELECT event_id FROM ${DEFAULT_SCHEMA}.events WHERE holder = ${id}`)).map((row) =>
        String(row['event_id']),
      ),
    async endLease({ id }) {
      await query(database, `UPDATE ${DEFAULT_SCHEMA}.replicas SET alive_until = now() WHERE id = ${id}`);
    },
    async drained() {
      const waiting = async (): Promise<number> =>
        Number(
          (await query(database, `SELECT count(*) AS n FROM ${DEFAULT_SCHEMA}.events WHERE delivered_at IS NULL`))[0]?.[
            'n'
          ],
        );
      await eventually(async () => (await waiting()) === 0, waiting);
    },
    send: (body) => callProxy(proxy.port, { headers: { authorization: `Bearer ${SECRET}` }, body, agent }),
  };
}

/** Webhooks through nginx, one after the other from each of some senders, and what became of each. */
export interface Load {
  /** Waits until so many more were answered 200, or one was not. */
  more(count: number): Promise<void>;
  /** An event that was answered 200 beside these. */
  count(eventId: string): void;
  /**
   * Ends it, waits until nothing waits any more, and compares: no request failed, each row of what was answered arrived, no
   * other, and none twice but those of `sentAgain`, the ids of events.
   */
  settled(sentAgain?: ReadonlySet<string>): Promise<{ readonly accepted: number; readonly twice: number }>;
  /** Ends it without a look at what came of it. */
  stop(): Promise<void>;
}

export function startLoad(fleet: Fleet, name: string): Load {
  const { emulator, proxy } = fleet;
  const rowsBefore = emulator.rowCount(requestStream);
  const accepted = new Set<string>();
  const failed: string[] = [];
  let sending = true;

  async function send(sender: number): Promise<void> {
    for (let n = 0; sending && failed.length === 0; n++) {
      const answer = await fleet.send(webhook(`${name}-${sender}-${n}`, ROWS)).catch((error: unknown) => String(error));
      if (typeof answer === 'string') failed.push(answer);
      else if (answer.status !== 200) failed.push(`${answer.status} ${answer.text.slice(0, 300)}`);
      else for (const { event_id } of eventsOf({ ...answer, headers: {} })) accepted.add(event_id);
    }
  }
  const assertNoneFailed = (): void =>
    assert.equal(failed.length, 0, `${failed.join('\n')}\n${proxy.log().slice(-2_000)}`);
  const senders = Promise.all(Array.from({ length: SENDERS }, (_, sender) => send(sender)));

  async function stop(): Promise<void> {
    sending = false;
    await senders;
  }

  return {
    stop,
    count: (eventId) => void accepted.add(eventId),
    async more(count) {
      const wanted = accepted.size + count;
      await eventually(
        () => accepted.size >= wanted || failed.length > 0,
        () => `${accepted.size} of ${wanted} answered`,
      );
      assertNoneFailed();
    },
    async settled(sentAgain = new Set()) {
      await stop();
      assertNoneFailed();
      await fleet.drained();
      const counts = new Map<string, number>();
      for (const { row_id } of emulator.rows(requestStream).slice(rowsBefore)) {
        counts.set(String(row_id), (counts.get(String(row_id)) ?? 0) + 1);
      }
      const expected = [...accepted].flatMap((id) => Array.from({ length: ROWS }, (_, index) => `${id}-${index}`));
      const lost = expected.filter((id) => !counts.has(id));
      assert.deepEqual(lost, [], 'nothing is lost');
      const known = new Set(expected);
      const unknown = [...counts.keys()].filter((id) => !known.has(id));
      assert.deepEqual(unknown, [], 'nothing came that was not answered');
      const twice = [...counts].filter(([, count]) => count > 1);
      const unexplained = twice.filter(([id]) => !sentAgain.has(id.replace(/-\d+$/, '')));
      assert.deepEqual(unexplained, [], 'no row comes twice whose delivery had been written down');
      return { accepted: accepted.size, twice: twice.length };
    },
  };
}
