import { setTimeout as delay } from 'node:timers/promises';
import type { Emulator, Fault } from '../emulator/emulator.ts';
import type { HealthDocument } from '../http/health.ts';
import { toDoOf } from '../http/status.ts';
import type { TextOutput } from './context.ts';
import { sendHttp } from './local-service.ts';
import type { AdminClient } from './outbox/admin-client.ts';

const LIMIT_MS = 60_000;
const LOOK_MS = 200;

/** What /healthz says, as far as the demo shows it. */
interface Health extends Pick<HealthDocument, 'status' | 'hold' | 'problems'> {
  readonly outbox: { readonly waiting: number; readonly held: number; readonly dead: number };
}

/** Resolves when the fault has met a call and made what it makes, such as a hold; prints what /healthz says then. */
export async function showFault(stdout: TextOutput, emulator: Emulator, fault: Fault, healthUrl: URL): Promise<void> {
  const isMade = ({ hold, outbox }: Health) =>
    fault === '403' ? hold !== null : fault !== 'refused' || outbox.dead > 0;
  const isMet = (health: Health) => emulator.faultyCalls() > 0 && isMade(health);
  const health = await healthWhen(isMet, healthUrl, 'the fault met no call');
  stdout.write(`\nThe fault has met a delivery.\n${healthText(health, healthUrl)}`);
}

/** Names what `refused` made a dead letter, with the commands for it. `cli`: what stands before a command. Returns the ids. */
export async function showDeadLetters(stdout: TextOutput, client: AdminClient, cli: string): Promise<string[]> {
  const { records } = await client.list({ state: 'dead', limit: 10 });
  for (const { id, code } of records) {
    const shortId = id.slice(0, 12);
    stdout.write(`
The dead letter ${shortId}…, code ${code}, stays until it is replayed or purged:

  ${cli} outbox show ${shortId} --body
  ${cli} outbox replay ${shortId}
`);
  }
  return records.map(({ id }) => id);
}

/** Resolves when nothing waits any more; prints what /healthz says then. `rows`: how many different ones must be there. */
export async function showHealed(stdout: TextOutput, emulator: Emulator, rows: number, healthUrl: URL): Promise<void> {
  const isDone = ({ outbox: { waiting, held, dead }, hold }: Health) => waiting + held + dead === 0 && hold === null;
  const health = await healthWhen(isDone, healthUrl, 'events still wait');
  const ids = emulator.allRows().map(({ row_id: id }) => id);
  const missing = rows - new Set(ids).size;
  if (missing !== 0) throw new Error(`of ${rows} rows ${missing} did not arrive`);
  stdout.write(`\nThe fault is over.\n${healthText(health, healthUrl)}`);
  const again = ids.length - rows;
  if (again > 0) stdout.write(`${again} rows arrived twice, each with the same row_id as before.\n`);
}

async function healthWhen(isSo: (health: Health) => boolean, url: URL, otherwise: string): Promise<Health> {
  for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await delay(LOOK_MS)) {
    const result = await sendHttp(url, { timeLimitMs: LIMIT_MS });
    if (result.type === 'failed') throw new Error(`/healthz did not answer: ${result.reason}`);
    const health = JSON.parse(result.body) as Health;
    if (isSo(health)) return health;
  }
  throw new Error(`${otherwise} within ${LIMIT_MS / 1000} s`);
}

function healthText({ status, outbox, problems }: Health, { href }: URL): string {
  const said = toDoOf({ problems }).map(({ fix, problems: sharing }) => {
    const messages = sharing.map(({ code, message }) => `  ${code}: ${message}\n`);
    return `${messages.join('')}  Fix: ${fix}\n`;
  });
  const dead = outbox.dead > 0 ? `, ${outbox.dead} dead` : '';
  return `${href} says "${status}": ${outbox.waiting} waiting, ${outbox.held} held${dead}\n${said.join('')}`;
}
