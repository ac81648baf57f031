import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { advanceUntil, requestEvent, startDelivery } from '../delivery/harness.ts';
import { type Emulator, startEmulator } from '../support/azure/emulator.ts';
import type { FaultAnswer, FaultTarget } from '../support/azure/faults.ts';
import { requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type ServiceProcess, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { type Front, startFront } from './support/front.ts';
import { drained, healthOf } from './support/health.ts';
import { isLong } from './support/random.ts';
import { webhook } from './support/webhooks.ts';

interface Rig {
  readonly emulator: Emulator;
  /** An Azure of the same names whose certificate comes from a CA that the service does not know. */
  readonly stranger: Emulator;
  readonly front: Front;
  readonly service: ServiceProcess;
  /** No name resolves any more, or they do again. */
  breakDns(broken: boolean): Promise<void>;
}

/** The real process, with a switch between it and Azure. */
async function startRig(t: TestContext): Promise<Rig> {
  const emulator = await startTestEmulator(t);
  const stranger = await startEmulator({ streams: { [requestStream]: requestColumns } });
  t.after(() => stranger.stop());
  const front = await startFront(t, emulator);
  const files = await serviceFiles(t, emulator);
  const noDnsFile = path.join(files.folder, 'no-dns');
  const service = await startServiceProcess(t, {
    ...serviceEnv(emulator, files),
    LOGS_INGESTION_ENDPOINT: `https://localhost:${front.port}`,
    AZURE_AUTHORITY_HOST: `https://localhost:${front.port}`,
    TEST_NO_DNS_FILE: noDnsFile,
    NODE_OPTIONS: `--import=${pathToFileURL(path.join(import.meta.dirname, 'support/failing-dns.mjs')).href}`,
  });
  return {
    emulator,
    stranger,
    front,
    service,
    breakDns: (broken) => (broken ? writeFile(noDnsFile, '') : rm(noDnsFile, { force: true })),
  };
}

interface Situation {
  readonly name: string;
  readonly break: (rig: Rig) => void | Promise<void>;
  readonly mend: (rig: Rig) => void | Promise<void>;
  /** What the log line of the failed upload says. */
  readonly logged: RegExp;
  /** What to fix, where it is a hold; null where the service tries again by itself. */
  readonly fix: RegExp | null;
}

const toAzure = ({ front, emulator }: Rig) => front.switchTo(emulator);
const withoutToken = (rig: Rig) => rig.emulator.revokeTokens();
const planned = (target: FaultTarget, answer: FaultAnswer): Pick<Situation, 'break' | 'mend'> => ({
  break: ({ emulator }) => emulator.plan({ target, answer, times: 'forever' }),
  mend: ({ emulator }) => emulator.clearPlan(),
});
const html = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>';

const situations: readonly Situation[] = [
  {
    name: 'nobody listens',
    break: ({ front }) => front.switchTo('nobody'),
    mend: toAzure,
    logged: /"failure":"(network|connection)/,
    fix: null,
  },
  {
    name: 'TLS fails: the other side speaks none',
    break: ({ front }) => front.switchTo('plain text'),
    mend: toAzure,
    logged: /"failure":"(network|connection)/,
    fix: null,
  },
  {
    name: 'the certificate comes from the wrong CA',
    break: ({ front, stranger }) => front.switchTo(stranger),
    mend: toAzure,
    logged: /"failure":"(network|connection)/,
    fix: null,
  },
  {
    name: 'no name resolves',
    async break(rig) {
      await rig.breakDns(true);
      // Else the connection that is open would be used on.
      toAzure(rig);
    },
    mend: (rig) => rig.breakDns(false),
    logged: /"failure":"(network|connection)/,
    fix: null,
  },
  {
    name: 'half an answer, then a reset',
    ...planned('ingest', { type: 'reset', at: 'half_body', processed: false }),
    logged: /"status":503/,
    fix: null,
  },
  {
    name: '503 with a page of HTML',
    ...planned('ingest', { type: 'status', status: 503, body: html, headers: { 'content-type': 'text/html' } }),
    logged: /"status":503/,
    fix: null,
  },
  {
    name: '403 with a page of HTML',
    ...planned('ingest', { type: 'status', status: 403, body: html, headers: { 'content-type': 'text/html' } }),
    logged: /"status":403,"by":"page"/,
    fix: /firewall/,
  },
  {
    name: 'Entra: the client secret is wrong',
    break(rig) {
      withoutToken(rig);
      rig.emulator.plan({
        target: 'token',
        times: 'forever',
        answer: { type: 'status', status: 401, body: entraError(7000215, 'Invalid client secret provided.') },
      });
    },
    mend: ({ emulator }) => emulator.clearPlan(),
    logged: /7000215/,
    fix: /AZURE_CLIENT_SECRET/,
  },
  {
    name: 'Entra: the client secret is expired',
    break(rig) {
      withoutToken(rig);
      rig.emulator.setClientSecretExpired(true);
    },
    mend: ({ emulator }) => emulator.setClientSecretExpired(false),
    logged: /7000222/,
    fix: /AZURE_CLIENT_SECRET/,
  },
  {
    name: 'Entra answers 429',
    break(rig) {
      withoutToken(rig);
      rig.emulator.plan({
        target: 'token',
        times: 'forever',
        answer: {
          type: 'status',
          status: 429,
          headers: { 'retry-after': '1' },
          body: { error: 'temporarily_unavailable' },
        },
      });
    },
    mend: ({ emulator }) => emulator.clearPlan(),
    logged: /"failure":"no_token"/,
    fix: null,
  },
  {
    name: 'Entra answers 502 with a page of HTML',
    break(rig) {
      withoutToken(rig);
      rig.emulator.plan({ target: 'token', times: 'forever', answer: { type: 'status', status: 502, body: html } });
    },
    mend: ({ emulator }) => emulator.clearPlan(),
    logged: /"failure":"no_token"/,
    fix: null,
  },
  ...(isLong
    ? [
        {
          name: 'Azure takes the connection and says nothing',
          break: ({ front }: Rig) => front.switchTo('silence'),
          mend: toAzure,
          logged: /"failure":"timeout"/,
          fix: null,
        },
        {
          name: 'Azure hangs behind the headers',
          ...planned('ingest', { type: 'hang', at: 'headers' }),
          logged: /"failure":"timeout"/,
          fix: null,
        },
        {
          name: 'Entra hangs',
          break(rig: Rig) {
            withoutToken(rig);
            rig.emulator.plan({ target: 'token', times: 'forever', answer: { type: 'hang' } });
          },
          mend: ({ emulator }: Rig) => emulator.clearPlan(),
          logged: /"failure":"no_token"/,
          fix: null,
        },
      ]
    : []),
];

function entraError(number: number, message: string) {
  return {
    error: 'invalid_client',
    error_description: `AADSTS${number}: ${message}`,
    error_codes: [number],
    correlation_id: '00000000-0000-4000-8000-000000000000',
  };
}

const absurd: readonly (readonly [header: string, delayMs: number])[] = [
  ['1e9', 1_000],
  ['0x10', 1_000],
  ['99999999999999999999999', 1_000],
  ['999999999999', 900_000],
  ['3.5', 3_500],
  ['Infinity', 1_000],
  ['Sun, 06 Nov 1994 08:49:37 GMT', 1_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', 900_000],
  ['2026-01-01T00:00:00Z', 1_000],
  ['120, 240', 1_000],
];

// Most of each is waiting.
describe('faults of Azure', { concurrency: 4 }, () => {
  test('each fault of Azure, one after the other, on one process: hold or retry, shown in /healthz, nothing lost, well again without a restart', async (t) => {
    const rig = await startRig(t);
    const { emulator, service } = rig;
    const expected = new Set<string>();
    const post = async (id: string) => {
      const response = await service.post(webhook(id));
      assert.equal(response.status, 200);
      expected.add(`${((await response.json()) as { event_id: string }).event_id}-0`);
    };
    await post('before');
    await drained(service.port);
    for (const { name, logged, fix, ...situation } of situations) {
      await t.test(name, async () => {
        const from = service.logs.length;
        await situation.break(rig);
        await post(name);
        const isLogged = () => service.logs.slice(from).some((line) => logged.test(JSON.stringify(line)));
        await eventually(isLogged, () => service.logs.slice(from));
        if (fix !== null) await eventually(async () => (await healthOf(service.port)).hold !== null);
        const health = await healthOf(service.port);
        const { waiting, held, dead } = health.outbox;
        assert.deepEqual([waiting, held, dead], fix === null ? [1, 0, 0] : [0, 1, 0]);
        assert.equal(health.code, fix === null ? 200 : 503);
        if (fix === null) assert.equal(health.hold, null);
        else assert.match(String(health.hold?.fix), fix);
        assert.equal((await fetch(service.url('/readyz'))).status, 200, 'webhooks are taken all the while');
        await situation.mend(rig);
        await drained(service.port);
        await eventually(async () => (await healthOf(service.port)).code === 200);
        assert.equal((await healthOf(service.port)).hold, null);
      });
    }
    assert.equal(service.child.exitCode, null);
    const rowIds = emulator.rows(requestStream).map((row) => String(row['row_id']));
    assert.deepEqual(rowIds.toSorted(), [...expected].sort(), 'every row once');
    assert.equal(rig.stranger.requests.length, 0, 'nothing was sent to whom the service does not know');
  });

  for (const at of ['headers', 'half_body'] as const) {
    test(`an answer that stops behind ${at} is given up after 30 s and the rows go again`, async (t) => {
      const f = await startDelivery(t);
      f.emulator.plan({ target: 'ingest', answer: { type: 'hang', at } });
      await f.sendAndFlush(requestEvent('r-1'));
      await f.emulator.waitFor(() => f.calls().some(({ outcome }) => outcome === 'hung'));
      f.clock.advance(30_000);
      await eventually(() => f.retries.length === 1);
      const result = f.uploads[0]?.result;
      assert.ok(result?.type === 'unanswered' && result.reason === 'timeout', JSON.stringify(result));
      await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
      assert.deepEqual([f.rows().length, f.delivery.holds().length], [1, 0]);
    });
  }

  test('an Entra that hangs at a cold start is given up after 10 s, no hold, and the rows go when it answers', async (t) => {
    const f = await startDelivery(t);
    f.emulator.plan({ target: 'token', answer: { type: 'hang' } });
    await f.sendAndFlush(requestEvent('r-1'));
    await f.emulator.waitFor(() => f.emulator.requests.some(({ kind }) => kind === 'token'));
    f.clock.advance(10_000);
    await eventually(() => f.retries.length === 1);
    assert.deepEqual([f.uploads[0]?.result.type, f.calls().length], ['no_token', 0]);
    await advanceUntil(f, 1_000, async () => (await f.waiting()) === 0);
    assert.deepEqual([f.rows().length, f.holds.length], [1, 0]);
  });

  for (const [header, delayMs] of absurd) {
    test(`503 with Retry-After "${header}" waits ${delayMs} ms and goes on`, async (t) => {
      const f = await startDelivery(t);
      f.emulator.plan({
        target: 'ingest',
        answer: { type: 'status', status: 503, headers: { 'retry-after': header } },
      });
      await f.sendAndFlush(requestEvent('r-1'));
      await eventually(() => f.retries.length === 1);
      assert.equal(Math.round(f.retries[0]?.delayMs ?? 0), delayMs);
      f.clock.advance(delayMs);
      await eventually(async () => (await f.waiting()) === 0);
      assert.equal(f.rows().length, 1);
    });
  }
});
