import type { HoldJson, StatsJson } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { printable, renderTable, timeText } from '../text.ts';
import { withOperator } from './connect.ts';

/** Counts, ages and the condition of the outbox. */
export function stats(context: CommandContext, options: { readonly json?: boolean }): Promise<number> {
  return withOperator(context, async ({ operator, through }) => {
    const found = await operator.stats();
    if (options.json === true) context.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    else context.stdout.write(render(found));
    if (through === 'shared') context.stderr.write('Read from PostgreSQL: what the services hold is not known here.\n');
    if (through === 'database') {
      context.stderr.write('No service has this outbox open: nothing is sent, and what is held is not known.\n');
    }
    return exitCodes.done;
  });
}

function render(found: StatsJson): string {
  const { waiting, held, dead, quarantined } = found;
  const states = Object.entries({ waiting, held, dead, quarantined });
  const rows = states.map(([state, { count, oldest_received_at: oldest }]) => [
    state,
    String(count),
    oldest === null ? '-' : timeText(Date.parse(oldest)),
  ]);
  const holds = found.holds.map(renderHold).join('');
  const problem = found.writable ? '' : `It cannot be written: ${printable(found.problem ?? 'unknown')}\n`;
  const percent = Math.round((found.used_bytes / found.max_bytes) * 100);
  return (
    renderTable(['STATE', 'COUNT', 'OLDEST RECEIVED'], rows) +
    `\n${found.used_bytes} of ${found.max_bytes} bytes are used (${percent}%)\n${renderLog(found)}${holds}${problem}`
  );
}

/** A longer one cannot be emptied (see sqlite/checkpoint.ts). */
const LOG_AT_REST_BYTES = 16 * 1024 * 1024;

function renderLog({ log_bytes: bytes }: StatsJson): string {
  if (bytes <= LOG_AT_REST_BYTES) return '';
  return `${bytes} of them are SQLite's write-ahead log: another program may have outbox.db open in a transaction\n`;
}

/** Azure's words are foreign text, and may quote a row: only here and on the admin port are they shown. */
function renderHold({ kind, stream, since, code, reason, fix, message }: HoldJson): string {
  const said = message === null ? '' : `  Azure said: ${printable(message)}\n`;
  return `\nHeld: ${kind}, stream ${stream}, since ${timeText(Date.parse(since))}, ${code}\n  ${printable(reason)}\n${said}  Fix: ${printable(fix)}\n`;
}
