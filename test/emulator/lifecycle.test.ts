import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { startEmulator } from '../support/azure/emulator.ts';
import { azureEnv, requestColumns, requestStream, startTestEmulator } from '../support/emulator.ts';
import { bearer, call, post } from './client.ts';

const run = promisify(execFile);

function failsToConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

describe('starting and stopping', () => {
  test('it listens on loopback only by default', async (t) => {
    const emulator = await startTestEmulator(t);
    assert.match(emulator.origin, /^https:\/\/localhost:\d+$/);
    const outside = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4');
    if (outside === undefined) return t.skip('this machine has no other address');
    const refused = await new Promise((resolve) => {
      const socket = net.connect(emulator.port, outside.address);
      socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
      socket.once('connect', () => socket.destroy());
    });
    assert.equal(refused, true);
  });

  test('each emulator has a CA of its own, and several are trusted at once', async (t) => {
    const one = await startTestEmulator(t, { hostNames: [] });
    const two = await startTestEmulator(t, { hostNames: [] });
    assert.notEqual(new X509Certificate(one.caPem).subject, new X509Certificate(two.caPem).subject);
    assert.equal((await post(one, [{}])).status, 204);
    assert.equal((await post(two, [{}])).status, 204);
    assert.deepEqual([one.rowCount(requestStream), two.rowCount(requestStream)], [1, 1]);
  });

  test('its certificate is good for localhost, both loopback addresses and the names that were asked for', async (t) => {
    const emulator = await startTestEmulator(t, { hostNames: ['azure.test', '192.0.2.7'] });
    const certificate = await new Promise<X509Certificate>((resolve, reject) => {
      const socket = tls.connect({ port: emulator.port, host: '127.0.0.1', servername: 'azure.test' }, () => {
        const peer = socket.getPeerX509Certificate();
        socket.destroy();
        peer === undefined ? reject(new Error('no certificate')) : resolve(peer);
      });
      socket.once('error', reject);
    });
    for (const name of ['localhost', 'azure.test']) assert.ok(certificate.checkHost(name), name);
    for (const ip of ['127.0.0.1', '::1', '192.0.2.7']) assert.ok(certificate.checkIP(ip), ip);
    assert.equal(certificate.checkHost('example.com'), undefined);
    assert.equal(certificate.ca, false);
  });

  test('another process trusts it through NODE_EXTRA_CA_CERTS, and not without', async (t) => {
    const emulator = await startTestEmulator(t);
    const folder = await mkdtemp(path.join(tmpdir(), 'emulator-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = path.join(folder, 'ca.pem');
    await writeFile(file, emulator.caPem);
    const script = `fetch(process.env.LOGS_INGESTION_ENDPOINT).then((r) => console.log(r.status), (e) => console.log(e.cause.code))`;
    const fetchIn = async (env: Record<string, string>): Promise<string> =>
      (await run(process.execPath, ['-e', script], { env: { ...azureEnv(emulator), ...env } })).stdout.trim();
    assert.equal(await fetchIn({ NODE_EXTRA_CA_CERTS: file }), '404');
    assert.match(await fetchIn({}), /CERT|ISSUER|SIGNATURE/);
  });

  test('stopping ends calls that hang and connections that say nothing, and frees the port', async () => {
    const emulator = await startEmulator({ streams: { [requestStream]: requestColumns } });
    emulator.plan({
      target: 'ingest',
      times: 'forever',
      answer: { type: 'hang' },
    });
    const silent = net.connect(emulator.port, '127.0.0.1');
    const silentClosed = new Promise((resolve) => silent.once('close', resolve));
    silent.on('error', () => {});
    const url = `${emulator.origin}/dataCollectionRules/a/streams/b`;
    const hanging = [1, 2].map(() => call(url, { method: 'POST', body: '[]', ca: emulator.caPem }));
    const results = Promise.allSettled(hanging);
    await emulator.waitFor((e) => e.requests.filter(({ outcome }) => outcome === 'hung').length === 2);
    const waiting = assert.rejects(
      emulator.waitFor(() => false),
      /stopped/,
    );
    await Promise.all([emulator.stop(), emulator.stop()]);
    assert.deepEqual(
      (await results).map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    await Promise.all([silentClosed, waiting]);
    assert.equal(await failsToConnect(emulator.port), true);
  });

  test('nothing keeps the process alive after it was stopped', { timeout: 300_000 }, async () => {
    const module = new URL('../support/azure/emulator.ts', import.meta.url).href;
    const script = `
      const { startEmulator } = await import(${JSON.stringify(module)});
      const emulator = await startEmulator({ streams: {} });
      emulator.plan({ target: 'token', answer: { type: 'pass', delayMs: 2_000_000_000 } });
      (await import('node:tls')).setDefaultCACertificates([emulator.caPem]);
      const url = emulator.origin + '/' + emulator.tenantId + '/oauth2/v2.0/token';
      const delayed = fetch(url, { method: 'POST', body: 'a=b' }).catch((error) => error.cause.code);
      await emulator.waitFor((e) => e.requests[0]?.fault === 'pass', 2_000_000_000);
      await emulator.stop();
      console.log(await delayed);`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { timeout: 300_000 });
    assert.match(stdout, /ECONNRESET|UND_ERR_SOCKET/);
  });

  test('a port that is taken rejects the start', async (t) => {
    const emulator = await startTestEmulator(t);
    await assert.rejects(startEmulator({ port: emulator.port, streams: {} }), { code: 'EADDRINUSE' });
  });
});

describe('watching', () => {
  test('waitFor sees what is there already, what comes, and what never comes', async (t) => {
    const emulator = await startTestEmulator(t);
    await emulator.waitFor((e) => e.requests.length === 0);
    const arrival = emulator.waitFor((e) => e.rowCount(requestStream) === 2);
    await post(emulator, [{}, {}]);
    await arrival;
    emulator.setRulePresent(false);
    await post(emulator, [{}]);
    await assert.rejects(
      emulator.waitFor((e) => e.rowCount(requestStream) === 3, 20),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'emulator_timeout');
        assert.match(error.message, /Custom-AponoAccessRequests_CL: 2/);
        assert.match(error.message, /ingest Custom-AponoAccessRequests_CL rows 1: answered 404 NotFound/);
        return true;
      },
    );
    await assert.rejects(
      emulator.waitFor(() => {
        throw new Error('a mistake in the test');
      }),
      /a mistake in the test/,
    );
  });

  test('rows that were read once do not change when more arrive', async (t) => {
    const emulator = await startTestEmulator(t);
    await post(emulator, [{}]);
    const before = emulator.rows(requestStream);
    await post(emulator, [{}]);
    assert.deepEqual([before.length, emulator.rows(requestStream).length], [1, 2]);
  });

  test('a client that breaks off in its body is recorded as aborted', async (t) => {
    const emulator = await startTestEmulator(t);
    const authorization = await bearer(emulator);
    const socket = tls.connect({ port: emulator.port, host: 'localhost' });
    socket.write(
      `POST /dataCollectionRules/${emulator.ruleId}/streams/${requestStream}?api-version=2023-01-01 HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\ncontent-length: 100\r\n\r\n[{`,
    );
    await emulator.waitFor((e) => e.requests.at(-1)?.kind === 'ingest');
    socket.destroy();
    await emulator.waitFor((e) => e.requests.at(-1)?.outcome === 'aborted');
    assert.equal(emulator.rowCount(requestStream), 0);
  });

  test('paths that make no sense are 404', async (t) => {
    const emulator = await startTestEmulator(t);
    for (const bad of ['/%E0%A4%A', '/', '//', '/dataCollectionRules/a', '/subscriptions/x', '/msi/token/x']) {
      assert.equal((await call(`${emulator.origin}${bad}`)).status, 404, bad);
    }
  });
});
