import type { Emulator } from './emulator.ts';
import type { RecordedRequest } from './requests.ts';

/** For the message of a wait that was in vain: what did come, in a few lines. */
export function summary(emulator: Emulator, rowCounts: Readonly<Record<string, number>>): string {
  const { requests, requestCount, remainingPlan } = emulator;
  const last = requests.slice(-15).map((request) => `  ${line(request)}`);
  const rows = Object.entries(rowCounts).map(([stream, count]) => `${stream}: ${count}`);
  return [
    `rows stored: ${rows.join(', ') || 'no stream was declared'}`,
    `fault steps left: ${remainingPlan.length}`,
    `requests: ${requestCount}${last.length > 0 ? ', the last of them:' : ''}`,
    ...last,
  ].join('\n');
}

function line(request: RecordedRequest): string {
  const { index, kind, outcome, status, errorCode, stream, rowCount, tokenState, fault } = request;
  const answer = [outcome, status, errorCode].filter((part) => part !== null).join(' ');
  const rows = stream === null ? '' : ` ${stream} rows ${rowCount ?? '?'}`;
  const token = tokenState === 'none' || tokenState === 'valid' ? '' : ` token ${tokenState}`;
  return `#${index} ${kind}${rows}: ${answer}${token}${fault === null ? '' : ` (plan: ${fault})`}`;
}
