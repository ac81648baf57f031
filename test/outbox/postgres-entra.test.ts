import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { run } from '../commands/support.ts';
import { azureEnv, startTestEmulator } from '../support/emulator.ts';

interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * As much of a server as sees a login: it asks for the password in plain, as Azure does for tokens (over TLS there), and
 * then refuses it. https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
async function startDoor(t: TestContext): Promise<{ readonly port: number; readonly logins: readonly Login[] }> {
  const logins: Login[] = [];
  const server = createServer((socket) => {
    let user = '';
    socket.on('error', () => undefined);
    socket.on('data', (message) => {
      if (user === '') {
        const fields = message.subarray(8).toString().split('\0');
        user = fields[fields.indexOf('user') + 1] ?? '';
        socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
      } else if (message[0] === 0x70) {
        logins.push({ user, password: message.subarray(5, -1).toString() });
        const fields = Buffer.from('SFATAL\0VFATAL\0C28P01\0Mno such role\0\0');
        const head = Buffer.alloc(5);
        head.write('E');
        head.writeInt32BE(fields.length + 4, 1);
        socket.end(Buffer.concat([head, fields]));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, logins };
}

const payloadOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

for (const [cloud, audience] of [
  ['public', 'https://ossrdbms-aad.database.windows.net'],
  ['china', 'https://ossrdbms-aad.database.chinacloudapi.cn'],
] as const) {
  test(`the credential signs in to the database with a token for it, in the ${cloud} cloud, and it is shown nowhere`, async (t) => {
    const emulator = await startTestEmulator(t);
    const door = await startDoor(t);
    const result = await run(['outbox', 'stats'], {
      ...azureEnv(emulator),
      AZURE_CLOUD: cloud,
      OUTBOX_URL: `postgres://app%40contoso@127.0.0.1:${door.port}/outbox?auth=entra&sslmode=disable`,
    });
    assert.equal(result.exitCode, 1);
    assert.match(result.stderr, /outbox_permission: .*no such role/);
    const [login] = door.logins;
    assert.equal(login?.user, 'app@contoso');
    assert.equal(payloadOf(login?.password ?? '')['aud'], audience);
    assert(!`${result.stdout}${result.stderr}`.includes(login?.password ?? 'nothing'));
  });
}

test('a token that cannot be had is told as what it is', async (t) => {
  const emulator = await startTestEmulator(t);
  const door = await startDoor(t);
  const result = await run(['outbox', 'stats'], {
    ...azureEnv(emulator),
    AZURE_CLIENT_SECRET: 'the-wrong-client-secret',
    OUTBOX_URL: `postgres://app@127.0.0.1:${door.port}/outbox?auth=entra&sslmode=disable`,
  });
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /outbox_cannot_open: .*AADSTS7000215/);
  assert.deepEqual(door.logins, []);
  assert(!result.stderr.includes('the-wrong-client-secret'));
});
