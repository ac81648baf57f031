import { endWarningMs } from '../config/credential.ts';
import type { StoreTrouble } from '../outbox/open.ts';
import { type OutboxStats, oldestAgeMs, STATS_LIMIT_MS, summary } from '../outbox/port.ts';
import type { HealthOptions } from './health.ts';
import { infoOf } from './problem-codes.ts';

/** One member of `problems` in /healthz. It holds no secret, no text of an event and nobody's address. */
export interface HealthProblem {
  readonly code: keyof typeof remedies;
  readonly message: string;
  /** What to do, with a command to type where there is one. */
  readonly fix: string;
}

const renewCredential =
  'Make a new one for the app registration (Certificates & secrets). Put a certificate in the place of the file of AZURE_CLIENT_CERTIFICATE_PATH; for a secret set AZURE_CLIENT_SECRET and AZURE_CLIENT_SECRET_EXPIRES, and restart.';

const textLooksEscaped =
  'Within the last day text with HTML entities such as &quot; was stored as it came, because event_time was a number.';

// Every code of a problem in /healthz, with its `fix`: empty if each problem has its own. docs/operations.md has them all.

/** With any of these the answer is 503. */
export const failingCodes = {
  starting: 'Wait a few seconds. If it stays so, read the log of the service.',
  stopping: 'Wait for SHUTDOWN_TIMEOUT_MS at most; then start the service again if nobody meant to stop it.',
  outbox_not_answering: 'Look at the disk of DATA_DIR or at the database of OUTBOX_URL, and at the log of the service.',
  outbox_not_writable:
    'Look at the disk of DATA_DIR (`df -h`) or at the database of OUTBOX_URL, and at the log of the service.',
  outbox_full: 'Run `apono-sentinel outbox stats`, end the hold or purge what nobody needs, or raise OUTBOX_MAX_BYTES.',
  delivery_on_hold: '',
  delivery_late: 'Run `apono-sentinel check --live`, and read the log lines `upload`, which say what Azure answers.',
} as const;

/** With these alone it is 200, unless `?fail=degraded` asks otherwise. */
export const degradedCodes = {
  dead_letters:
    'Run `apono-sentinel outbox list --state dead`, which shows the code of each. refused_by_azure: correct the rule, then `apono-sentinel outbox replay --all --state dead --code refused_by_azure`. salvaged: `apono-sentinel outbox replay --all --state dead --code salvaged`. row_too_large: no replay helps. Delete what nobody needs: `apono-sentinel outbox purge <id>`.',
  bodies_quarantined:
    'Run `apono-sentinel outbox list --state quarantined`, which shows the code of each. docs/errors.md says what to mend for each code, and whether a replay helps: `apono-sentinel outbox replay --all --state quarantined --code <code>`. Delete what nobody needs: `apono-sentinel outbox purge <id>`.',
  webhooks_refused:
    'Look up the codes in docs/errors.md. Run `apono-sentinel send-test` to see whether a right event is taken.',
  text_looks_escaped:
    'Put event_time in quotes in the body template, as `apono-sentinel template` prints it, or set APONO_TEMPLATE_ESCAPING to html. If somebody typed the entities, nothing is wrong.',
  outbox_trouble: '',
  damaged_database:
    'Stop the service, run `apono-sentinel outbox salvage <file>`, and start it again. What it cannot read is in a backup or in Apono at best. Removing the file ends the problem too.',
  secret_not_renewed: 'Correct the file that <name>_FILE names, then send the service SIGHUP again.',
  heartbeat_failing: '',
  credential_expires_soon: renewCredential,
  credential_expired: renewCredential,
} as const;

const remedies = { ...failingCodes, ...degradedCodes };

/** What the codes of dead letters mean, and what helps. */
export const deadLetterCodes: Readonly<Record<string, string>> = {
  refused_by_azure:
    'Azure refused these rows for good. Compare the columns of the rule with the reason, correct them, then replay.',
  row_too_large:
    'A request to Azure cannot hold such a row, and no replay helps. Save what you need of it, then purge it.',
  salvaged:
    'They come from a damaged database. Replay them: a row that Azure has already is there twice then, with one row_id.',
};

/** When a replay of a body in quarantine helps; for other codes it never does. docs/errors.md has the same. */
export const replayHelps: Readonly<Record<string, string>> = {
  kind_mismatch: 'A replay goes by the content, so it helps at once.',
  body_not_decompressible: 'A replay helps at once.',
  encoding_unsupported: 'A replay helps at once.',
  stream_off: 'A replay helps once the variable names a stream.',
  body_not_json: 'A replay helps after an update, or if APONO_TEMPLATE_ESCAPING was wrong and is right now.',
  duplicate_keys: 'A replay helps if APONO_TEMPLATE_ESCAPING was wrong and is right now.',
  unknown_kind: 'A replay helps only after an update.',
  schema_mismatch: 'A replay helps only after an update.',
  mapping_failed: 'A replay helps only after an update.',
};
const noReplay = 'A replay never helps: correct the body, send it to the URL of its kind, and purge this one.';

/** What to do about a dead letter, or a body in quarantine, that has this code. */
export function helpWith(code: string): string {
  return deadLetterCodes[code] ?? `${infoOf(code)?.remedy ?? ''} ${replayHelps[code] ?? noReplay}`;
}

const maxOldestAgeSeconds = 15 * 60;
/** The store reports a trouble that goes on at least once a minute; a slow probe should see a single one too. */
const troubleShownMs = 10 * 60_000;

function healthProblem(code: HealthProblem['code'], message: string, fix: string = remedies[code]): HealthProblem {
  return { code, message, fix };
}

/** Everything that is wrong. A part of the service that has something to report adds it here. */
export function* problemsOf(stats: OutboxStats | null, options: HealthOptions): Generator<HealthProblem> {
  const { sources, history, clock } = options;
  yield* notReadyProblems(stats, options);
  for (const { stream, reason, fix } of sources.holds()) {
    yield healthProblem('delivery_on_hold', `Stream ${stream} is on hold: ${reason}`, fix);
  }
  if (stats !== null) yield* storedProblems(stats, clock.now());
  yield* refusalProblems(history.refused('lost'));
  if (history.looksEscaped()) yield healthProblem('text_looks_escaped', textLooksEscaped);
  const { damagedFile: file, trouble, folder } = sources.outbox;
  // Listed until a person has looked, over restarts too. Not a 503, since events are taken and delivered.
  if (file !== null) {
    const message = `A damaged database was set aside as ${file}, and events may be in it.`;
    const fix = remedies.damaged_database.replace('<file>', () => file);
    yield healthProblem('damaged_database', message, fix);
  }
  const { lastSentAt = null, failing = null } = sources.heartbeat() ?? {};
  // Not a 503 either: it is about seeing the service from Sentinel, and holds no event back.
  if (failing !== null) {
    const since = lastSentAt === null ? 'the start' : new Date(lastSentAt).toISOString();
    yield healthProblem('heartbeat_failing', `No heartbeat was sent since ${since}: ${failing.reason}`, failing.fix);
  }
  for (const { name, message } of sources.secretProblems()) {
    const said = `The last SIGHUP did not renew ${name} (${message}), and its value of before is in use.`;
    yield healthProblem('secret_not_renewed', said, remedies.secret_not_renewed.replace('<name>', name));
  }
  yield* troubleProblems(trouble, folder !== null, clock.now());
  yield* credentialProblems(sources.credentialEndsAt(), clock.now());
}

/** Why no webhook would be taken now; empty when one would. `stats`: null if the outbox did not answer. */
export function* notReadyProblems(
  stats: OutboxStats | null,
  { sources, state }: HealthOptions,
): Generator<HealthProblem> {
  if (!sources.started()) yield healthProblem('starting', 'The service is starting.');
  if (state().isStopping) {
    const message = 'The service is stopping: it takes no webhooks, and ends when the uploads under way have ended.';
    yield healthProblem('stopping', message);
  }
  if (stats === null) {
    const message = `The outbox is not available, or did not answer within ${STATS_LIMIT_MS} ms.`;
    return yield healthProblem('outbox_not_answering', message);
  }
  const { writable, problem, usedBytes, logBytes, maxBytes } = stats;
  if (!writable) {
    const message = `The outbox cannot store events${problem === null ? '' : `: ${problem}`}.`;
    yield healthProblem('outbox_not_writable', message);
  }
  // A write-ahead log that is too long makes the outbox full as well, and then its own problem says so above.
  const dataBytes = usedBytes - logBytes;
  if (dataBytes >= maxBytes) {
    const message = `The outbox is full: it uses ${dataBytes} of ${maxBytes} bytes (OUTBOX_MAX_BYTES).`;
    yield healthProblem('outbox_full', message);
  }
}

function* storedProblems(stats: OutboxStats, nowMs: number): Generator<HealthProblem> {
  const { dead, quarantined, undelivered } = summary(stats, []);
  const ageSeconds = Math.floor(oldestAgeMs(undelivered, nowMs) / 1000);
  if (ageSeconds > maxOldestAgeSeconds) {
    yield healthProblem('delivery_late', `The oldest event has waited for Azure for ${ageSeconds} seconds.`);
  }
  if (dead.count > 0) {
    const events = dead.count === 1 ? 'There is 1 event' : `There are ${dead.count} events`;
    yield healthProblem('dead_letters', `${events} with dead letters: rows that may be missing in Sentinel.`);
  }
  if (quarantined.count > 0) {
    const bodies = quarantined.count === 1 ? '1 body is' : `${quarantined.count} bodies are`;
    yield healthProblem('bodies_quarantined', `${bodies} in quarantine, and not in Sentinel.`);
  }
}

/** `lostByCode`: what is in quarantine has a problem of its own for as long as it is there, and no longer. */
function* refusalProblems(lostByCode: Readonly<Record<string, number>>): Generator<HealthProblem> {
  const lost = Object.entries(lostByCode);
  const [mostFrequent] = lost;
  if (mostFrequent === undefined) return;
  const total = lost.reduce((sum, [, count]) => sum + count, 0);
  const codes = lost.map(([code, count]) => `${count} ${code}`).join(', ');
  const message = `${total === 1 ? '1 webhook was' : `${total} webhooks were`} refused within the last hour: ${codes}.`;
  const fixes = [infoOf(mostFrequent[0])?.remedy ?? [], remedies.webhooks_refused].flat();
  yield healthProblem('webhooks_refused', message, fixes.join(' '));
}

/** Not a 503: what cannot be stored is a problem of its own. */
function* troubleProblems(trouble: StoreTrouble | null, isLocal: boolean, nowMs: number): Generator<HealthProblem> {
  if (trouble === null || Math.abs(nowMs - trouble.at) >= troubleShownMs) return;
  const { operation, reason } = trouble;
  const message = `The database of the outbox had trouble with a ${operation} at ${new Date(trouble.at).toISOString()}: ${reason}.`;
  yield healthProblem('outbox_trouble', message, troubleFix(trouble, isLocal));
}

function troubleFix({ operation, isDamage, reason }: StoreTrouble, isLocal: boolean): string {
  if (operation === 'prune') return 'Raise OUTBOX_MAX_BYTES, or lower DEDUP_DAYS.';
  if (!isLocal) return 'Look at the PostgreSQL server of OUTBOX_URL and at its log.';
  if (isDamage) {
    return 'The service checks the database and sets it aside by itself. If this does not end within minutes, restart the service.';
  }
  if (/read transaction|is locked/.test(reason)) {
    return 'End the program that has outbox.db open, such as a backup or a sqlite3 shell with an open transaction (`fuser -v outbox.db` in DATA_DIR names it).';
  }
  return 'Look at the disk of DATA_DIR: `df -h` shows its room, the system log (`dmesg`) errors of the disk.';
}

function* credentialProblems(endsAt: number | null, nowMs: number): Generator<HealthProblem> {
  if (endsAt === null || endsAt - nowMs >= endWarningMs) return;
  const day = new Date(endsAt).toISOString();
  if (endsAt <= nowMs) yield healthProblem('credential_expired', `The credential of the sign-in ended on ${day}.`);
  else yield healthProblem('credential_expires_soon', `The credential of the sign-in expires on ${day}.`);
}
