import { type ProblemCodeInfo, quarantineCodes } from '../intake/quarantine-codes.ts';
import type { Answer } from './answer.ts';
import { adminCodes, type EdgeCodeInfo, type ProblemCode, problemCodes } from './problem-codes.ts';

/** Apono shows answers to its admins: what comes of a body's content is cut to these. */
const maxDetailLength = 500;
const maxErrors = 50;

interface ProblemParts extends Pick<ProblemCodeInfo, 'status' | 'title'> {
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members beside those of RFC 9457, such as `quarantined`. */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
}

/** A request that is refused. It may be thrown anywhere on the way of a request; app.ts makes the answer of it. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly parts: ProblemParts;

  constructor(detail: string, parts: ProblemParts) {
    super(detail);
    this.parts = parts;
  }
}

interface ProblemOptions extends Pick<ProblemParts, 'headers' | 'members'> {
  /** In place of the table's meaning and remedy. Never holds a secret or a piece of the body. */
  readonly detail?: string | undefined;
}

const codes: Readonly<Record<ProblemCode, EdgeCodeInfo>> = { ...problemCodes, ...adminCodes };

/** A problem of this folder's tables. */
export function problem(code: ProblemCode, options: ProblemOptions = {}): HttpProblem {
  const { status, title, meaning, remedy, retryAfterSeconds } = codes[code];
  const { detail = `${meaning} ${remedy}`, members } = options;
  const retry = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return new HttpProblem(detail, { code, status, title, headers: { ...options.headers, ...retry }, members });
}

const UNKNOWN = { title: 'The body could not be understood', remedy: 'Give the operator the request_id.' };

/**
 * A body that the receiver put into quarantine: 400 when it is not JSON, 422 when no schema takes it. `detail` says what
 * is wrong; what to do is added, for the admin to whom Apono shows the answer.
 */
export function quarantined(
  status: 400 | 422,
  { code, detail, errors }: { code: string; detail: string; errors?: readonly { path: string; message: string }[] },
): HttpProblem {
  const { title, remedy } = new Map<string, ProblemCodeInfo>(Object.entries(quarantineCodes)).get(code) ?? UNKNOWN;
  const shown = errors
    ?.slice(0, maxErrors)
    .map(({ path, message }) => ({ path: shorten(path), message: shorten(message) }));
  const members = { quarantined: true, ...(shown && { errors: shown }) };
  const said = `${shorten(detail, maxDetailLength - remedy.length - 2)}. ${remedy}`;
  return new HttpProblem(said, { code, status, title, members });
}

/** RFC 9457. `type` is a name, not an address: docs/errors.md is where the codes are explained. */
export function problemAnswer({ message: detail, parts }: HttpProblem, requestId: string): Answer {
  const { code, status, title, headers = {}, members } = parts;
  const type = `urn:apono-sentinel:problem:${code}`;
  const body = { type, title, status, detail, code, request_id: requestId, ...members };
  return { status, contentType: 'application/problem+json', headers, body };
}

function shorten(text: string, maxLength = maxDetailLength): string {
  if (text.length <= maxLength) return text;
  // Not through the middle of a character that takes two code units.
  return `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
