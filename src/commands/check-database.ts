import { inFull, TokenError } from '../azure/token-error.ts';
import { explainTokenFailure } from '../azure/token-fixes.ts';
import type { CredentialConfig, OutboxDatabase } from '../config/config.ts';
import { DatabaseStartError } from '../outbox/postgres/errors.ts';
import { type Examined, examineDatabase } from '../outbox/postgres/examine.ts';
import { placeOf } from '../outbox/postgres/settings.ts';
import { settingsOf } from '../outbox/postgres/settings-of.ts';
import type { Finding } from './live-check.ts';

export interface DatabaseCheck {
  readonly database: OutboxDatabase;
  /** What the token is had with, where the database is signed in to with one. */
  readonly credential: CredentialConfig;
  readonly token: () => Promise<string>;
}

/** Tries the database of OUTBOX_URL as a start would, and changes nothing in it. */
export async function checkDatabase({ database, credential, token }: DatabaseCheck): Promise<Finding> {
  const subject = `database ${placeOf(database)}`;
  try {
    // First, so that what Entra says is not taken for what the database says.
    if (database.entra) await token();
    const message = messageOf(await examineDatabase(settingsOf(database, token)));
    return { level: 'well', subject, message, fix: '' };
  } catch (error) {
    if (error instanceof DatabaseStartError) {
      return { level: 'error', subject, message: error.problem, fix: error.fix };
    }
    if (!(error instanceof TokenError)) throw error;
    const { aadsts, said } = error;
    const failure = { refused: error.code === 'token_refused', aadsts, reason: inFull(error), message: said };
    const { reason, fix } = explainTokenFailure(failure, credential);
    return { level: 'error', subject, message: reason, fix };
  }
}

function messageOf({ version, known }: Examined): string {
  const signedIn = 'connected and signed in, it keeps what it commits';
  if (version === 0) return `${signedIn}; the tables are not there yet, and will be made at the start`;
  if (version < known)
    return `${signedIn}; its tables (version ${version}) will be brought to version ${known} at the start`;
  if (version > known)
    return `${signedIn}; its tables are of a later version (${version}) that works with this one (${known})`;
  return `${signedIn}; its tables are there (version ${version})`;
}
