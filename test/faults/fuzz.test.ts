import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { SECRET, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { inflate, type MutatedBody, mutatedBody } from './support/mutated-bodies.ts';
import { isLong, seededRandom } from './support/random.ts';

const bodyCount = isLong ? 100_000 : 3_000;
/** After so many the process has met everything, and its memory is what it will stay at. */
const warmUpCount = isLong ? 20_000 : 1_500;
const bodiesPerRun = 100;
const maxBodyBytes = 100_000;

interface Reply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly json: Record<string, unknown>;
}

function post(port: number, agent: Agent, { bytes, headers }: MutatedBody): Promise<Reply> {
  const length = 'transfer-encoding' in headers ? {} : { 'content-length': bytes.length };
  const options = { port, agent, host: '127.0.0.1', method: 'POST', path: '/apono/webhook' };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { ...options, headers: { authorization: `Bearer ${SECRET}`, ...length, ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        response.on('end', () => {
          const json = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], json });
        });
      },
    );
    outgoing.on('error', reject).end(bytes);
  });
}

/** Resident memory in bytes; null where the system does not say. */
function residentBytes(pid: number | undefined): number | null {
  const file = `/proc/${pid}/status`;
  return existsSync(file) ? Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(file, 'utf8'))?.[1]) * 1024 : null;
}

/** Throws for an answer that the contract does not have. The body that is in quarantine now: as it came, or inflated. */
function checkAnswer({ status, retryAfter, json }: Reply): 'as it came' | 'inflated' | null {
  const { code, quarantined } = json;
  switch (status) {
    case 200:
      assert.equal(json['status'], 'accepted');
      assert.match(String(json['event_id']), /^v1[0-9a-f]{64}$/);
      return null;
    case 400:
      assert.ok(code === 'body_not_json' || code === 'body_not_decompressible');
      if (code === 'body_not_json') assert.equal(quarantined, true);
      return code === 'body_not_json' ? 'inflated' : quarantined === true ? 'as it came' : null;
    case 422:
      assert.equal(quarantined, true);
      assert.notEqual(code, 'mapping_failed');
      assert.ok(Array.isArray(json['errors']) && json['errors'].length > 0);
      return 'inflated';
    case 413:
      assert.equal(code, 'body_too_large');
      assert.equal(quarantined, undefined);
      return null;
    case 415:
      assert.equal(code, 'encoding_unsupported');
      return quarantined === true ? 'as it came' : null;
    case 503:
      assert.match(String(retryAfter), /^[1-9]\d*$/);
      return null;
    default:
      return assert.fail(`answered ${status}: ${JSON.stringify(json)}`);
  }
}

test(`${bodyCount} mutated bodies get the answers of the contract, and the process is the same`, async (t) => {
  const { seed } = seededRandom();
  t.diagnostic(`FAULTS_SEED=${seed}`);
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const service = await startServiceProcess(t, { ...env, MAX_BODY_BYTES: String(maxBodyBytes) });
  const agent = new Agent({ keepAlive: true, maxSockets: 25 });
  t.after(() => agent.destroy());
  const statuses = new Map<number, number>();
  const quarantined = new Set<string>();
  const rowsByEvent = new Map<unknown, number>();
  let warmBytes: number | null = null;
  let sent = 0;

  function record(body: MutatedBody, reply: Reply): void {
    const kept = checkAnswer(reply);
    const bytes = kept === 'as it came' ? body.bytes : kept === 'inflated' ? inflate(body) : null;
    if (bytes !== null) quarantined.add(createHash('sha256').update(bytes).digest('hex'));
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    if (reply.status !== 200) return;
    const events = (reply.json['events'] ?? [reply.json]) as Record<string, unknown>[];
    for (const event of events) rowsByEvent.set(event['event_id'], Number(event['rows']));
  }

  await fc.assert(
    fc.asyncProperty(
      fc.array(mutatedBody(maxBodyBytes), { minLength: bodiesPerRun, maxLength: bodiesPerRun }),
      async (bodies) => {
        const replies = await Promise.all(bodies.map((body) => post(service.port, agent, body)));
        for (const [index, reply] of replies.entries()) {
          const body = bodies[index];
          try {
            if (body !== undefined) record(body, reply);
          } catch (error) {
            throw new Error(`for ${JSON.stringify(body?.headers)} ${body?.bytes.toString('base64')}`, { cause: error });
          }
        }
        sent += bodies.length;
        if (sent === warmUpCount) warmBytes = residentBytes(service.child.pid);
      },
    ),
    // Without shrinking: a run is a hundred bodies, and the error names the one.
    {
      numRuns: bodyCount / bodiesPerRun,
      seed,
      endOnFailure: true,
    },
  );

  assert.equal(service.child.exitCode, null);
  const well = '{"event_type":"RequestGranted","event_time":1763719200,"data":{"id":"well"}}';
  assert.equal((await service.post(well)).status, 200);
  const rows = [...rowsByEvent.values()].reduce((sum, count) => sum + count, 1);
  await emulator.waitFor(() => emulator.rowCount(requestStream) >= rows);
  assert.equal(emulator.rowCount(requestStream), rows, 'each event once, with the rows that its answer said');
  const outboxNow = async () =>
    ((await (await fetch(service.url('/healthz'))).json()) as { outbox: Record<string, unknown> }).outbox;
  await eventually(async () => (await outboxNow())['waiting'] === 0, outboxNow);
  assert.equal((await outboxNow())['quarantined'], quarantined.size, 'each body that was answered 400 or 422, once');
  assert.equal((await outboxNow())['dead'], 0);
  const unexpected = service.logs.filter(({ level }) => level !== 'info' && level !== 'warn');
  assert.deepEqual(unexpected, []);
  for (const status of [200, 400, 413, 415, 422]) {
    assert.ok((statuses.get(status) ?? 0) > bodyCount / 100, `${status} was rare`);
  }
  const mayTake = 2 * (warmBytes ?? Number.POSITIVE_INFINITY);
  const endBytes = () => residentBytes(service.child.pid) ?? 0;
  // What a collection gives back comes some time after the load.
  await eventually(() => endBytes() < mayTake, endBytes);
  const megabytes = [warmBytes ?? 0, endBytes()].map((bytes) => Math.round(bytes / 1e6));
  t.diagnostic(`resident memory after ${warmUpCount} bodies and at the end: ${megabytes.join(' and ')} MB`);
  t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(statuses))}`);
});
