import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { healthOf, idOf, units } from '../commands/outbox-fixture.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { type Service, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';

const READ = 'secrets were read again';

interface Running {
  readonly service: Service;
  readonly emulator: Emulator;
  /** Null: removes it. */
  write(files: Readonly<Record<string, string | null>>): Promise<void>;
  /** Sends SIGHUP; gives the names of what changed, and the log's errors by variable. */
  hangUp(): Promise<{ readonly changed: unknown; readonly errors: Readonly<Record<string, string>> }>;
}

/** A service whose secrets are in files; `files` by the name of the variable. */
async function start(
  t: TestContext,
  files: (emulator: Emulator) => Record<string, string>,
  launch: (...args: Parameters<typeof startService>) => Promise<Service> = startService,
): Promise<Running> {
  const emulator = await startTestEmulator(t);
  const { folder, ...data } = await serviceFiles(t, emulator);
  const secrets = path.join(folder, 'secrets');
  await mkdir(secrets);
  const known: string[] = [];
  async function write(given: Readonly<Record<string, string | null>>): Promise<void> {
    for (const [name, text] of Object.entries(given)) {
      if (text === null) await rm(path.join(secrets, name));
      else await writeFile(path.join(secrets, name), text);
      if (text !== null && text.trim() !== '') known.push(text.trim());
    }
  }
  const given = files(emulator);
  await write(given);
  const env = serviceEnv(emulator, { folder, ...data });
  for (const name of Object.keys(given)) {
    delete env[name];
    env[`${name}_FILE`] = path.join(secrets, name);
  }
  const service = await launch(t, env);
  return {
    service,
    emulator,
    write,
    async hangUp() {
      service.keepOutOfLog(known);
      const before = service.logs.length;
      const lines = () => service.logs.slice(before);
      service.hangUp();
      const last = () => lines().find(({ message }) => message === READ);
      await eventually(() => last() !== undefined);
      const errors = lines().filter(({ code }) => code === 'secret_not_renewed');
      return {
        changed: last()?.['changed'],
        errors: Object.fromEntries(errors.map(({ variable, problem }) => [variable, String(problem)])),
      };
    },
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('SIGHUP', () => {
  it('has the webhook secrets read again: the new one opens, the one before is taken until its file is empty', async (t) => {
    const files = { APONO_WEBHOOK_SECRET: 'the-secret-of-monday\n', APONO_WEBHOOK_SECRET_PREVIOUS: '' };
    const { service, write, hangUp } = await start(t, () => files, startServiceProcess);
    const statuses = async (): Promise<number[]> => {
      const answers = ['monday', 'tuesday'].map((day) => service.post(units(day), bearer(`the-secret-of-${day}`)));
      return (await Promise.all(answers)).map(({ status }) => status);
    };
    assert.deepEqual(await statuses(), [200, 401]);
    await write({
      APONO_WEBHOOK_SECRET: 'the-secret-of-tuesday',
      APONO_WEBHOOK_SECRET_PREVIOUS: 'the-secret-of-monday',
    });
    assert.deepEqual(await statuses(), [200, 401], 'not before the signal');
    assert.deepEqual(await hangUp(), {
      changed: ['APONO_WEBHOOK_SECRET', 'APONO_WEBHOOK_SECRET_PREVIOUS'],
      errors: {},
    });
    assert.deepEqual(await statuses(), [200, 200]);
    await write({ APONO_WEBHOOK_SECRET_PREVIOUS: '' });
    assert.deepEqual(await hangUp(), { changed: ['APONO_WEBHOOK_SECRET_PREVIOUS'], errors: {} });
    assert.deepEqual(await statuses(), [401, 200]);
  });

  it('has the tokens of the admin port read again, and never opens it', async (t) => {
    const { service, write, hangUp } = await start(t, () => ({
      ADMIN_TOKEN: 'the-first-token-of-admin',
      METRICS_TOKEN: 'the-first-token-of-metrics',
    }));
    const statuses = async (token: string): Promise<number[]> => {
      const get = (at: string) => fetch(`http://127.0.0.1:${service.adminPort}${at}`, { headers: bearer(token) });
      return [(await get('/admin/v1/status')).status, (await get('/metrics')).status, (await get('/')).status];
    };
    await write({ ADMIN_TOKEN: 'the-other-token-of-admin', METRICS_TOKEN: 'the-other-token-of-metrics' });
    assert.deepEqual((await hangUp()).changed, ['ADMIN_TOKEN', 'METRICS_TOKEN']);
    assert.deepEqual(await statuses('the-first-token-of-admin'), [401, 401, 401]);
    assert.deepEqual(await statuses('the-first-token-of-metrics'), [401, 401, 401]);
    assert.deepEqual(await statuses('the-other-token-of-admin'), [200, 200, 200]);
    assert.deepEqual(await statuses('the-other-token-of-metrics'), [401, 200, 401]);
    for (const wrong of [
      { ADMIN_TOKEN: '', METRICS_TOKEN: '' },
      { ADMIN_TOKEN: 'short', METRICS_TOKEN: null },
      { ADMIN_TOKEN: 'the-same-token-twice', METRICS_TOKEN: 'the-same-token-twice' },
    ]) {
      await write(wrong);
      const { changed, errors } = await hangUp();
      assert.deepEqual(changed, []);
      assert.ok(Object.keys(errors).includes('METRICS_TOKEN'), JSON.stringify(errors));
      assert.deepEqual(await statuses('the-other-token-of-admin'), [200, 200, 200]);
      assert.deepEqual(await statuses('the-other-token-of-metrics'), [401, 200, 401]);
    }
    assert.equal((await fetch(`http://127.0.0.1:${service.adminPort}/metrics`)).status, 401);
  });

  it('keeps what cannot be read or is wrong, says which, and takes the rest', async (t) => {
    const { service, write, hangUp } = await start(t, () => ({
      APONO_WEBHOOK_SECRET: 'the-secret-of-monday',
      APONO_WEBHOOK_SECRET_PREVIOUS: 'the-secret-of-sunday',
    }));
    await write({ APONO_WEBHOOK_SECRET: null, APONO_WEBHOOK_SECRET_PREVIOUS: 'the-secret-of-saturday' });
    interface Health {
      readonly problems: readonly { readonly code: string; readonly message: string; readonly fix: string }[];
    }
    const problems = async () => ((await (await fetch(service.url('/healthz'))).json()) as Health).problems;
    assert.deepEqual(await problems(), []);
    const { changed, errors } = await hangUp();
    assert.deepEqual(changed, ['APONO_WEBHOOK_SECRET_PREVIOUS']);
    const last = service.logs.findLast(({ message }) => message === READ);
    assert.deepEqual([last?.['level'], last?.['not_renewed']], ['error', ['APONO_WEBHOOK_SECRET']]);
    const [problem] = await problems();
    assert.equal(problem?.code, 'secret_not_renewed');
    assert.match(problem.message, /did not renew APONO_WEBHOOK_SECRET \(.*ENOENT.*its value of before is in use/);
    assert.match(problem.fix, /the file that APONO_WEBHOOK_SECRET_FILE names, then send .* SIGHUP again/);
    assert.deepEqual(Object.keys(errors), ['APONO_WEBHOOK_SECRET']);
    assert.match(errors['APONO_WEBHOOK_SECRET'] ?? '', /cannot be read \(ENOENT\)/);
    for (const text of ['', '  ', 'Bearer of-a-secret-with-a-prefix', 'tooshort', 'x'.repeat(70_000)]) {
      await write({ APONO_WEBHOOK_SECRET: text });
      const wrong = await hangUp();
      assert.deepEqual([wrong.changed, Object.keys(wrong.errors)], [[], ['APONO_WEBHOOK_SECRET']], text.slice(0, 20));
    }
    assert.equal((await service.post(units('a'), bearer('the-secret-of-monday'))).status, 200);
    assert.equal((await service.post(units('b'), bearer('the-secret-of-saturday'))).status, 200);
    assert.equal((await service.post(units('c'), bearer('the-secret-of-sunday'))).status, 401);
    await write({ APONO_WEBHOOK_SECRET: 'the-secret-of-tuesday' });
    assert.deepEqual((await hangUp()).errors, {});
    const codes = (await problems()).map(({ code }) => code);
    assert.ok(!codes.includes('secret_not_renewed'), codes.join());
  });

  it('signs in with the new client secret at once where the old one had ended', async (t) => {
    const { service, emulator, write, hangUp } = await start(t, () => ({ AZURE_CLIENT_SECRET: 'has-ended-long-ago' }));
    await idOf(await service.post(units('a')));
    await eventually(async () => (await healthOf(service))['held'] === 1);
    await write({ AZURE_CLIENT_SECRET: emulator.clientSecret });
    assert.deepEqual(await hangUp(), { changed: ['AZURE_CLIENT_SECRET'], errors: {} });
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 4);
    await eventually(async () => (await healthOf(service))['held'] === 0);
  });

  it('changes nothing where the secrets are in variables, and a stop is still in order', async (t) => {
    const { service, hangUp } = await start(t, () => ({}));
    assert.deepEqual(await hangUp(), { changed: [], errors: {} });
    await idOf(await service.post(units('a')));
    await service.stop();
  });
});
