import { type ProblemCodeInfo, quarantineCodes } from '../intake/quarantine-codes.ts';
import type { Answer } from './answer.ts';
import { adminCodes, type ProblemCode, problemCodes } from './problem-codes.ts';

/** Apono shows answers to its admins: what comes of a body's content is cut to these. */
const maxDetailLength = 500;
const maxErrors = 50;

interface ProblemParts {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members beside those of RFC 9457, such as `quarantined`. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** A request that is refused. Thrown anywhere on its way; the error middleware of app.ts answers it. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(parts: ProblemParts) {
    super(parts.detail);
    this.code = parts.code;
    this.status = parts.status;
    this.title = parts.title;
    this.headers = parts.headers ?? {};
    this.members = parts.members ?? {};
  }
}

interface ProblemOptions {
  /** In place of the table's meaning and remedy. Never holds a secret or a piece of the body. */
  readonly detail?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly members?: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds?: number;
}

const codes: Readonly<Record<ProblemCode, ProblemCodeInfo>> = { ...problemCodes, ...adminCodes };

/** A problem of this folder's tables. */
export function problem(code: ProblemCode, options: ProblemOptions = {}): HttpProblem {
  const { status, title, meaning, remedy } = codes[code];
  const { detail = `${meaning} ${remedy}`, members = {}, retryAfterSeconds } = options;
  const retry = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return new HttpProblem({ code, status, title, detail, headers: { ...options.headers, ...retry }, members });
}

/** A body that the receiver put into quarantine: 400 when it is not JSON, 422 when no schema takes it. */
export function quarantined(
  status: 400 | 422,
  refusal: { code: string; detail: string; errors?: readonly { path: string; message: string }[] },
): HttpProblem {
  const errors = refusal.errors?.slice(0, maxErrors).map(({ path, message }) => ({
    path: shorten(path),
    message: shorten(message),
  }));
  return new HttpProblem({
    code: refusal.code,
    status,
    title: quarantineTitle(refusal.code),
    detail: shorten(refusal.detail),
    members: { quarantined: true, ...(errors && { errors }) },
  });
}

/** A body that is refused for another reason and was put into quarantine all the same. */
export function keptAllTheSame(refusal: HttpProblem): HttpProblem {
  return new HttpProblem({ ...refusal, detail: refusal.message, members: { quarantined: true } });
}

function quarantineTitle(code: string): string {
  const known: Readonly<Record<string, ProblemCodeInfo>> = quarantineCodes;
  return Object.hasOwn(known, code) ? (known[code]?.title ?? '') : 'The body could not be understood';
}

/** RFC 9457. `type` is a name, not an address: docs/errors.md is where the codes are explained. */
export function problemAnswer(error: HttpProblem, requestId: string): Answer {
  return {
    status: error.status,
    contentType: 'application/problem+json',
    headers: error.headers,
    body: {
      type: `urn:apono-sentinel:problem:${error.code}`,
      title: error.title,
      status: error.status,
      detail: error.message,
      code: error.code,
      request_id: requestId,
      ...error.members,
    },
  };
}

function shorten(text: string): string {
  if (text.length <= maxDetailLength) return text;
  // Not through the middle of a character that takes two code units.
  return `${text.slice(0, maxDetailLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
