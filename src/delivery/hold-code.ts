/** Why a stream waits for a person: stable names, in /healthz, in the metric apono_sentinel_hold and in docs/errors.md. */
export const holdCodes = [
  /** Something between this service and Azure answered, or Azure did in a form that means nothing here. */
  'not_azure',
  /** The rule does not declare the stream, or it refuses an empty list too. */
  'stream_refused',
  /** The stream takes an empty list and no row. */
  'rows_refused',
  /** 403. */
  'role_missing',
  /** 404. */
  'rule_not_found',
  /** 401 with a token that was just fetched. */
  'token_rejected',
  /** The sign-in was refused. */
  'token_refused',
  /** Another answer of Azure's that trying again does not change. */
  'azure_refused',
  /** Events of a kind wait whose stream is `off`. */
  'stream_off',
] as const;

export type HoldCode = (typeof holdCodes)[number];
