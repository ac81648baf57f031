import type { Command } from 'commander';
import type { HoldJson, StatsJson } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes, type JsonOption, printResult } from '../context.ts';
import { renderTable, timeText } from '../text.ts';
import { withOperator } from './connect.ts';

export const define = (command: Command) =>
  command.description('counts and ages, by state').option('--json', 'print JSON');

export function run(context: CommandContext, options: JsonOption): Promise<number> {
  return withOperator(context, async ({ operator, through }) => {
    const found = await operator.stats();
    printResult(context, options, found, render(found));
    if (through === 'shared') context.stderr.write('Read from PostgreSQL: what the services hold is not known here.\n');
    if (through === 'database') {
      context.stderr.write('No service has this outbox open: nothing is sent, and what is held is not known.\n');
    }
    return exitCodes.done;
  });
}

/** A longer write-ahead log cannot be emptied (see outbox/sqlite/engine.ts). */
const LOG_AT_REST_BYTES = 16 * 1024 * 1024;

function render(found: StatsJson): string {
  const { waiting, held, dead, quarantined, used_bytes: used, max_bytes: max, log_bytes: log } = found;
  const states = Object.entries({ waiting, held, dead, quarantined });
  const rows = states.map(([state, { count, oldest_received_at: oldest }]) => [
    state,
    count,
    oldest === null ? '-' : timeText(oldest),
  ]);
  const data = used - log;
  const reader = log > LOG_AT_REST_BYTES ? ': another program may have outbox.db open in a transaction' : '';
  return [
    renderTable(['STATE', 'COUNT', 'OLDEST RECEIVED'], rows),
    `\n${data} of ${max} bytes are used (${Math.round((data / max) * 100)}%)\n`,
    log > 0 ? `SQLite's write-ahead log has ${log} bytes besides${reader}\n` : '',
    ...found.holds.map(renderHold),
    found.writable ? '' : `It cannot be written: ${found.problem ?? 'unknown'}\n`,
  ].join('');
}

/** Azure's words are foreign text, and may quote a row: only here and on the admin port are they shown. */
function renderHold({ kind, stream, since, code, reason, fix, message }: HoldJson): string {
  const said = message === null ? '' : `  Azure said: ${message}\n`;
  return `\nHeld: ${kind}, stream ${stream}, since ${timeText(since)}, ${code}\n  ${reason}\n${said}  Fix: ${fix}\n`;
}
