import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { OutboxEntry } from '../../src/ground/event.ts';
import { event as outboxEvent, quarantined, settlement } from '../outbox/samples.ts';
import { requestStream } from '../support/emulator.ts';
import { startService } from '../support/service.ts';
import { serviceEnv } from '../support/service-process.ts';
import { openTestStore } from '../support/store.ts';
import {
  idOf,
  jsonOf,
  recordsOf,
  refuseSomeRows,
  resourceIds,
  resultsOf,
  settled,
  startRunning,
  units,
} from './outbox-fixture.ts';
import { type Run, run } from './support.ts';

describe('outbox, when no service runs', () => {
  it('works on the database itself, needs no Azure variable, and the service sends what was replayed', async (t) => {
    const { emulator, service, files, env } = await startRunning(t);
    refuseSomeRows(emulator);
    const eventId = await idOf(await service.post(units('r1')));
    await settled(service, 1);
    await service.stop();
    emulator.clearPlan('ingest');
    const list = await run(['outbox', 'list', '--json'], { DATA_DIR: files.dataDir });
    assert.equal(list.exitCode, 0, list.stderr);
    assert.deepEqual(
      recordsOf(list).map(({ id }) => id),
      [eventId],
    );
    const stats = await run(['outbox', 'stats'], env);
    assert.match(stats.stderr, /No service has this outbox open/);
    assert.match(stats.stdout, /^dead +1 /m);
    const replay = await run(['outbox', 'replay', eventId], env);
    assert.equal(replay.exitCode, 0, replay.stderr);
    assert.match(replay.stderr, /They are sent when the service runs/);
    await startService(t, serviceEnv(emulator, files));
    await emulator.waitFor(() => emulator.rowCount(requestStream) === 4);
    assert.deepEqual(resourceIds(emulator), ['r1-a', 'r1-b', 'r1-c', 'r1-d']);
  });

  it('takes the first eight characters of an id for the whole, and says where they are too few', async (t) => {
    const { emulator, service, files, env } = await startRunning(t);
    refuseSomeRows(emulator);
    const eventId = await idOf(await service.post(units('r1')));
    await service.post('broken');
    await settled(service, 1);
    const through = async (variables: Readonly<Record<string, string>>): Promise<void> => {
      const bodyId = String(
        recordsOf(await run(['outbox', 'list', '--state', 'quarantined', '--json'], variables))[0]?.['id'],
      );
      for (const id of [eventId, bodyId]) {
        const shown = await run(['outbox', 'show', id.slice(0, 8), '--json'], variables);
        assert.deepEqual([shown.exitCode, jsonOf(shown)['id']], [0, id], shown.stderr);
        const short = await run(['outbox', 'show', id.slice(0, 7)], variables);
        assert.equal(short.exitCode, 1);
        assert.match(short.stderr, /^id_too_short: "[vq]1[0-9a-f]{5}" is too short: give the first 8 characters/);
      }
      const dry = await run(['outbox', 'replay', eventId.slice(0, 12), '--dry-run', '--json'], variables);
      assert.deepEqual([dry.exitCode, resultsOf(dry)[0]?.['id']], [0, eventId]);
      const none = await run(['outbox', 'purge', eventId.slice(0, 7), '--yes'], variables);
      assert.equal(none.exitCode, 1);
      assert.match(none.stdout, /is too short: give the first 8 characters/);
      const missing = await run(['outbox', 'show', 'v1000000'], variables);
      assert.equal(missing.exitCode, 1);
      assert.match(missing.stderr, /^record_not_found: No record has the id v1000000:/);
    };
    await through(env);
    await service.stop();
    await through({ DATA_DIR: files.dataDir });
    const purged = await run(['outbox', 'purge', eventId.slice(0, 8), '--yes'], { DATA_DIR: files.dataDir });
    assert.deepEqual([purged.exitCode, purged.stderr], [0, '1 record deleted.\n']);
    assert.match(purged.stdout, new RegExp(`^${eventId} +purged$`, 'm'));
  });

  it('shows what steers a terminal as codes, in every command, in the text and in the JSON', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    const nasty = 'a \u001b[31m \u009b31m \u202e \u0007 \u200b z';
    const feed = nasty;
    await outbox.put([
      quarantined('quarantined', { feed, reason: nasty, code: nasty, body: Buffer.from(nasty) }),
      outboxEvent('the-event', { receivedAt: 0, feed, note: nasty }),
    ]);
    const [claimed] = (await outbox.claim({ kind: 'request', maxBytes: 1_000_000 })).events;
    assert.ok(claimed !== undefined);
    await outbox.settle([settlement(claimed, { dead: [{ rows: [[0, 1]], code: nasty, reason: nasty }] })]);
    await outbox.close();
    for (const args of [
      ['stats'],
      ['list'],
      ['show', 'quarantined', '--body'],
      ['show', 'the-event', '--body'],
      ['show', nasty],
      ['replay', 'quarantined', 'the-event', nasty, '--dry-run'],
      ['purge', nasty, '--yes'],
    ]) {
      for (const options of [[], ['--json']]) {
        const { stdout, stderr } = await run(['outbox', ...args, ...options], { DATA_DIR: dataDir });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
        const steering = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]/;
        assert.doesNotMatch(stdout + stderr, steering, args.join(' '));
        if (options.length > 0 && stdout !== '') assert.doesNotThrow(() => JSON.parse(stdout));
      }
    }
    const shown = jsonOf(await run(['outbox', 'show', 'quarantined', '--body', '--json'], { DATA_DIR: dataDir }));
    assert.deepEqual([shown['feed'], shown['reason'], shown['body']], [nasty, nasty, nasty], 'no value is another');
  });

  it('lists 2,500 records in pages, with progress on stderr and the results on stdout', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    const entries: OutboxEntry[] = Array.from({ length: 2_500 }, (_, index) => quarantined(`q-${index}`));
    await outbox.put(entries);
    await outbox.close();
    const env = { DATA_DIR: dataDir };
    const some = await run(['outbox', 'list'], env);
    assert.equal(some.stdout.trimEnd().split('\n').length, 101);
    assert.match(some.stderr, /There are more than 100: see them with --all/);
    const all = await run(['outbox', 'list', '--all', '--json'], env);
    assert.equal(all.exitCode, 0);
    assert.deepEqual(new Set(recordsOf(all).map(({ id }) => id)), new Set(entries.map((_, index) => `q-${index}`)));
    assert.equal(recordsOf(all).length, 2_500);
    assert.match(all.stderr, /^1000 records …\n2000 records …\n$/);
    const exact = await run(['outbox', 'list', '--limit', '2500', '--json'], env);
    assert.deepEqual([recordsOf(exact).length, jsonOf(exact)['more']], [2_500, false]);
    const purge = await run(['outbox', 'purge', '--all', '--state', 'quarantined', '--yes', '--json'], env);
    assert.equal(resultsOf(purge).filter(({ purged }) => purged === true).length, 2_500);
    assert.deepEqual(recordsOf(await run(['outbox', 'list', '--json'], env)), []);
  });

  it('replays a long list in batches, with progress, and only what has the code that was asked for', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    const broken = Array.from({ length: 250 }, (_, index) => quarantined(`q-${index}`));
    const readable = Buffer.from(units('r1'));
    await outbox.put([...broken, quarantined('readable', { body: readable, code: 'unknown_kind' })]);
    await outbox.close();
    const env = { DATA_DIR: dataDir };
    const args = ['outbox', 'replay', '--all', '--state', 'quarantined', '--json'];
    const of = (result: Run, outcome: string) => resultsOf(result).filter((one) => one['outcome'] === outcome).length;
    const one = await run([...args, '--code', 'unknown_kind'], env);
    assert.deepEqual([one.exitCode, resultsOf(one).length, of(one, 'accepted')], [0, 1, 1], one.stderr);
    const rest = await run(args, env);
    assert.deepEqual([rest.exitCode, resultsOf(rest).length, of(rest, 'still_refused')], [1, 250, 250]);
    assert.match(rest.stderr, /^100 records …\n200 records …\n0 records replayed with 0 rows, 250 not\.\n$/);
    const [waiting] = recordsOf(await run(['outbox', 'list', '--state', 'waiting', '--json'], env));
    assert.deepEqual([waiting?.['kind'], waiting?.['pending_rows']], ['request', 4]);
  });

  it('refuses a folder without an outbox instead of making one', async (t) => {
    const { dataDir } = await openTestStore(t);
    const wrong = path.join(path.dirname(dataDir), 'elsewhere');
    const list = await run(['outbox', 'list'], { DATA_DIR: wrong });
    assert.equal(list.exitCode, 1);
    assert.match(list.stderr, /^outbox_missing: There is no outbox in .*elsewhere\. Set DATA_DIR/);
  });

  it('lets a body say nothing to the terminal', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    const evil = '\u001b]0;owned\u0007\u001b[2Jgone\u202e';
    await outbox.put([quarantined('a', { body: Buffer.from(`${evil}\nnext`), reason: evil, feed: evil })]);
    await outbox.put([outboxEvent('b', { note: evil })]);
    const [claimed] = (await outbox.claim({ kind: 'request', maxBytes: 1_000_000 })).events;
    assert.ok(claimed !== undefined);
    await outbox.settle([settlement(claimed, { dead: [{ rows: [[0, 1]], code: 'refused_by_azure', reason: evil }] })]);
    await outbox.close();
    for (const id of ['a', 'b']) {
      const { stdout } = await run(['outbox', 'show', id, '--body'], { DATA_DIR: dataDir });
      assert.ok(stdout.includes('\\u001b[2Jgone\\u202e'));
      assert.ok(['\u001b', '\u0007', '\u202e'].every((character) => !stdout.includes(character)));
    }
    const raw = jsonOf(await run(['outbox', 'show', 'a', '--body', '--json'], { DATA_DIR: dataDir }));
    assert.equal(raw['body'], `${evil}\nnext`, 'as it came');
  });

  it('salvage of a file that is not there makes no outbox', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-salvage-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const salvage = await run(['outbox', 'salvage', path.join(folder, 'none')], {
      DATA_DIR: path.join(folder, 'data'),
    });
    assert.equal(salvage.exitCode, 1);
    assert.match(salvage.stderr, /^salvage_unreadable: There is no file/);
    assert.deepEqual(readdirSync(folder), []);
  });

  it('salvage brings back what another database holds', async (t) => {
    const old = await openTestStore(t);
    await old.store.put([quarantined('a'), outboxEvent('b', { rowCount: 3 })]);
    await old.store.close();
    const { dataDir, store: outbox } = await openTestStore(t);
    await outbox.close();
    const salvage = await run(['outbox', 'salvage', path.join(old.dataDir, 'outbox.db')], { DATA_DIR: dataDir });
    assert.equal(salvage.exitCode, 0, salvage.stderr);
    assert.match(salvage.stdout, /^recovered +2$/m);
    const records = recordsOf(await run(['outbox', 'list', '--json'], { DATA_DIR: dataDir }));
    assert.deepEqual(
      records.map(({ id, state, pending_rows: pending }) => [id, state, pending]),
      [
        ['a', 'quarantined', 0],
        ['b', 'waiting', 3],
      ],
    );
  });

  for (const [what, wasQuarantined] of [
    ['some records are lost: they are counted', true],
    ['no record comes back: it fails, and the file goes on being named', false],
  ] as const) {
    it(`salvage where ${what}`, async (t) => {
      const old = await openTestStore(t);
      await old.store.put([outboxEvent('b', { rowCount: 3 }), ...(wasQuarantined ? [quarantined('a')] : [])]);
      await old.store.close();
      const file = path.join(old.dataDir, 'outbox.db');
      const db = new DatabaseSync(file);
      db.exec('DELETE FROM bodies');
      db.close();
      const { dataDir, store: outbox } = await openTestStore(t);
      await outbox.close();
      const damaged = path.join(dataDir, 'outbox.db.damaged-2026-11-29');
      await copyFile(file, damaged);
      const salvage = await run(['outbox', 'salvage', damaged], { DATA_DIR: dataDir });
      assert.equal(salvage.exitCode, wasQuarantined ? 0 : 1, salvage.stderr);
      assert.match(salvage.stdout, new RegExp(`^recovered +${wasQuarantined ? 1 : 0}\\n.*\\nunreadable +1$`, 'm'));
      assert.match(salvage.stderr, /1 record of which only traces are left must come from a backup or from Apono\./);
      assert.equal(/Nothing came back\. .* keeps its name/.test(salvage.stderr), !wasQuarantined);
      assert.equal(existsSync(damaged), !wasQuarantined);
    });
  }

  it('salvage says when there is nothing to read', async (t) => {
    const { dataDir, store: outbox } = await openTestStore(t);
    await outbox.close();
    const salvage = await run(['outbox', 'salvage', path.join(dataDir, 'no-such-file')], { DATA_DIR: dataDir });
    assert.equal(salvage.exitCode, 1);
    assert.match(salvage.stderr, /^salvage_unreadable: /);
  });
});
