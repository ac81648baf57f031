import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { serviceEnv } from '../support/service-process.ts';
import {
  envOf,
  healthOf,
  idOf,
  type Json,
  jsonOf,
  recordsOf,
  refuseSomeRows,
  resourceIds,
  resultsOf,
  settled,
  startRunning,
  units,
} from './outbox-fixture.ts';
import { run } from './support.ts';

describe('outbox, with events that wait and that are gone', () => {
  it('counts pending rows and numbers them, and says when an event was delivered', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    emulator.setPublisherRole(false);
    const eventId = await idOf(await service.post(units('r1')));
    await eventually(async () => (await healthOf(service))['held'] === 1);
    const held = await run(['outbox', 'show', eventId], env);
    assert.match(held.stdout, /^rows: +4\nrows pending: 4 \(row 0-3\)\nrows dead: +0$/m);
    emulator.setPublisherRole(true);
    await run(['outbox', 'retry'], env);
    await settled(service, 0);
    const said =
      /^record_not_found: No record is left of v1[0-9a-f]{64}\. \S+Z: accepted and stored \(4 rows\)\. \S+Z: all rows delivered to Azure, and deleted here\.\n$/;
    const gone = await run(['outbox', 'show', eventId.slice(0, 12)], env);
    assert.deepEqual([gone.exitCode, gone.stdout], [1, '']);
    assert.match(gone.stderr, said);
    const never = await run(['outbox', 'show', 'v1aaaaaaaaaaaa'], env);
    assert.match(never.stderr, /it never existed, or is no longer remembered/);
    await service.stop();
    assert.match((await run(['outbox', 'show', eventId], env)).stderr, said, 'without a service too');
    const help = (await run(['outbox', 'list', '--help'])).stdout.replaceAll(/\s+/g, ' ');
    assert.match(help, /dead, quarantined, held, then waiting ones, of each state the oldest first/);
  });
});

describe('outbox, with dead letters of a running service', () => {
  it('lists and shows them, and replay sends the refused rows alone, once, with the same event_id', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    refuseSomeRows(emulator);
    const eventId = await idOf(await service.post(units('r1')));
    await settled(service, 1);
    assert.deepEqual(resourceIds(emulator), ['r1-a', 'r1-c']);

    const list = await run(['outbox', 'list', '--state', 'dead'], env);
    assert.equal(list.exitCode, 0, list.stderr);
    const [heading, line, ...others] = list.stdout.trimEnd().split('\n');
    assert.match(heading ?? '', /^ID +STATE +KIND +RECEIVED +ROWS +PENDING +DEAD +CODE$/);
    assert.match(line ?? '', new RegExp(`^${eventId} +dead +request +\\d{4}-.*Z +4 +0 +2 +refused_by_azure$`));
    assert.deepEqual(others, []);

    const show = await run(['outbox', 'show', eventId, '--body'], env);
    assert.equal(show.exitCode, 0, show.stderr);
    assert.match(show.stdout, /^rows dead: +2$/m);
    assert.match(show.stdout, /refused_by_azure +.*no such luck/);
    assert.match(show.stdout, /"r1-b"/);
    const shown = jsonOf(await run(['outbox', 'show', eventId, '--json'], env));
    const letters = shown['dead_letters'] as Json[];
    assert.deepEqual(letters.flatMap(({ rows }) => rows).toSorted(), [
      [1, 2],
      [3, 4],
    ]);
    assert.equal('body' in shown, false, 'a body is only for who asks for it');

    const dry = await run(['outbox', 'replay', eventId, '--dry-run'], env);
    assert.equal(dry.exitCode, 0, dry.stderr);
    assert.match(dry.stdout, new RegExp(`revived +${eventId} +2 +rows 1, 3`));
    assert.match(dry.stderr, /1 record would be replayed with 2 rows. Nothing was changed/);
    assert.equal((await healthOf(service))['dead'], 1);

    emulator.clearPlan('ingest');
    const replay = await run(['outbox', 'replay', '--all', '--state', 'dead', '--json'], env);
    assert.equal(replay.exitCode, 0, replay.stderr);
    assert.deepEqual(
      resultsOf(replay).map(({ id, outcome, rows }) => [id, outcome, rows]),
      [[eventId, 'revived', 2]],
    );
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 4);
    assert.deepEqual(resourceIds(emulator), ['r1-a', 'r1-b', 'r1-c', 'r1-d']);
    assert.deepEqual([...new Set(emulator.rows(requestStream).map((row) => row['event_id']))], [eventId]);
    await eventually(async () => (await healthOf(service))['waiting'] === 0);
    assert.equal((await healthOf(service))['dead'], 0);

    const again = await run(['outbox', 'replay', eventId], env);
    assert.equal(again.exitCode, 1);
    assert.match(again.stdout, /nothing_to_replay/);
    const after = await idOf(await service.post(units('after')));
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 8);
    assert.equal(emulator.rows(requestStream).filter((row) => row['event_id'] === after).length, 4);
  });

  it('replays what Azure still refuses into the dead letters again, and ends', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    refuseSomeRows(emulator);
    await service.post(units('r1'));
    await service.post(units('r2'));
    await settled(service, 2);
    const replay = await run(['outbox', 'replay', '--all', '--state', 'dead'], env);
    assert.equal(replay.exitCode, 0, replay.stderr);
    assert.match(replay.stderr, /2 records replayed with 4 rows/);
    await settled(service, 2);
    assert.equal(emulator.rowCount(requestStream), 4);
    const one = recordsOf(await run(['outbox', 'list', '--state', 'dead', '--limit', '1', '--json'], env));
    assert.equal(one.length, 1);
    const none = await run(['outbox', 'replay', '--all', '--state', 'dead', '--code', 'row_too_large'], env);
    assert.deepEqual([none.exitCode, none.stdout.trimEnd().split('\n').length], [0, 1]);
  });

  it('shows what a hold keeps back as held, and not as waiting', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    emulator.setPublisherRole(false);
    const eventId = await idOf(await service.post(units('r1')));
    await eventually(async () => (await healthOf(service))['held'] === 1);
    const stats = jsonOf(await run(['outbox', 'stats', '--json'], env));
    assert.deepEqual([(stats['held'] as Json)['count'], (stats['waiting'] as Json)['count']], [1, 0]);
    assert.deepEqual(stats['held_kinds'], ['request']);
    const all = recordsOf(await run(['outbox', 'list', '--json'], env));
    assert.deepEqual(
      all.map(({ id, state }) => [id, state]),
      [[eventId, 'held']],
    );
    assert.deepEqual(recordsOf(await run(['outbox', 'list', '--state', 'waiting', '--json'], env)), []);
    const table = await run(['outbox', 'stats'], env);
    assert.match(table.stdout, /^held +1 +\d{4}-/m);
    assert.match(table.stdout, /^Held: request, stream Custom-AponoAccessRequests_CL, since .*, role_missing$/m);
    assert.match(table.stdout, /^ {2}Fix: Give .*Monitoring Metrics Publisher/m);
  });

  it('shows what Azure said of a hold, which /healthz and the log never do', async (t) => {
    const { emulator, service, env } = await startRunning(t);
    const message = 'zoe@example.com may not say "my-own-words"\u001b[2J';
    const answer = { type: 'status', status: 403, body: { error: { code: 'OperationFailed', message } } } as const;
    emulator.plan({ target: 'ingest', times: 'forever', answer });
    await service.post(units('r1'));
    await eventually(async () => (await healthOf(service))['held'] === 1);
    const { stdout } = await run(['outbox', 'stats'], env);
    assert.match(stdout, /^ {2}Azure said: zoe@example\.com may not say "my-own-words"\\u001b\[2J$/m);
    const [hold] = jsonOf(await run(['outbox', 'stats', '--json'], env))['holds'] as Json[];
    assert.deepEqual([hold?.['code'], hold?.['message']], ['role_missing', message]);
    const health = await (await fetch(service.url('/healthz'))).text();
    assert.match(health, /"code":"role_missing".*answered 403 \(OperationFailed\)/);
    for (const text of [health, JSON.stringify(service.logs)]) assert.doesNotMatch(text, /zoe|my-own-words/);
  });
});

describe('outbox, with bodies in quarantine', () => {
  const broken = '{"event_type": "Granted", "event_time": ';
  /** What a template made whose engine escapes HTML: a line break as it was typed, which no JSON has. */
  const unescaped = `{"event_type":"RequestGranted","event_time":"1767323045","data":{"id":"q1","justification":"say\n&quot;please&quot;"}}`;

  it('replay says of each that it is still refused and why, and leaves it where it is', async (t) => {
    const { service, env } = await startRunning(t);
    assert.equal((await service.post(broken)).status, 400);
    assert.equal((await service.post('{"no":"event"}')).status, 422);
    const listed = recordsOf(await run(['outbox', 'list', '--state', 'quarantined', '--json'], env));
    assert.deepEqual(
      listed.map(({ code, kind, rows }) => [code, kind, rows]),
      [
        ['body_not_json', null, 0],
        ['unknown_kind', null, 0],
      ],
    );
    for (const dryRun of [['--dry-run'], []]) {
      const replay = await run(['outbox', 'replay', '--all', '--state', 'quarantined', ...dryRun], env);
      assert.equal(replay.exitCode, 1);
      assert.match(replay.stdout, /still_refused +- +0 +body_not_json: /);
      assert.match(replay.stdout, /still_refused +- +0 +unknown_kind: /);
    }
    assert.equal((await healthOf(service))['quarantined'], 2);
    const id = String(listed[0]?.['id']);
    const show = await run(['outbox', 'show', id, '--body'], env);
    assert.match(show.stdout, /^type: +quarantine$/m);
    assert.ok(show.stdout.endsWith(`\n${broken}\n`));
  });

  it('a body that becomes readable is replayed into its rows, under the id that it would have had at once', async (t) => {
    const { emulator, service, files } = await startRunning(t, { APONO_TEMPLATE_ESCAPING: 'json' });
    assert.equal((await service.post(unescaped, { 'x-apono-feed': 'prod' })).status, 400);
    await service.stop();
    const again = await startService(t, serviceEnv(emulator, files));
    const env = envOf(again, files);
    const [record] = recordsOf(await run(['outbox', 'list', '--json'], env));
    const id = String(record?.['id']);
    const dry = await run(['outbox', 'replay', id, '--dry-run', '--json'], env);
    const [would] = resultsOf(dry);
    assert.equal(would?.['outcome'], 'accepted');
    assert.equal((await healthOf(again))['quarantined'], 1, 'a dry run changes nothing');
    const [done] = resultsOf(await run(['outbox', 'replay', id, '--json'], env));
    assert.deepEqual(done, would);
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 1);
    assert.equal((await healthOf(again))['quarantined'], 0);
    const [row] = emulator.rows(requestStream);
    assert.deepEqual([row?.['justification'], row?.['feed']], ['say\n"please"', 'prod']);
    assert.equal(
      Date.parse(String(row?.['received_at'])),
      Date.parse(String(record?.['received_at'])),
      'when it came, not when it was replayed',
    );
    const sent = (await (await again.post(unescaped)).json()) as Json;
    assert.deepEqual([sent['event_id'], sent['duplicate']], [row?.['event_id'], true]);
    assert.equal((await run(['outbox', 'replay', id], env)).exitCode, 1, 'it is gone');
  });

  it('two replays at once make one event', async (t) => {
    const { emulator, service, files } = await startRunning(t, { LOGS_INGESTION_STREAM: 'off' });
    await service.post(units('r1'));
    await service.stop();
    const again = await startService(t, serviceEnv(emulator, files));
    const env = envOf(again, files);
    const args = ['outbox', 'replay', '--all', '--state', 'quarantined', '--json'];
    const both = await Promise.all([run(args, env), run(args, env)]);
    const outcomes = both.flatMap(resultsOf).map(({ outcome }) => outcome);
    assert.equal(outcomes.filter((outcome) => outcome === 'accepted').length, 1, JSON.stringify(outcomes));
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 4);
    await idOf(await again.post(units('last')));
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 8);
  });
});
