import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { cleanMessage, textOfBody } from './messages.ts';

export interface ErrorDetail {
  /** Only what looks like a code, so that it may be logged. */
  readonly code: string | null;
  /** May quote a row: for the admin port and the terminal, never for the log or /healthz. */
  readonly message: string | null;
}

/** Who answered, as far as it can be told. `unmarked`: nothing in the answer says that it is Azure's. */
export type Answerer = 'azure' | 'unmarked' | 'page';

/**
 * What Azure says in an answer that is no success: `{"error":{"code","message","details"}}` as its specification has it,
 * the header x-ms-error-code, or, from a gateway or proxy, the text of a page.
 */
export function errorDetailOf(response: PipelineResponse, secrets: readonly string[] = []): ErrorDetail {
  const body = response.bodyAsText ?? '';
  const error = errorObjectOf(body);
  const code = codeOrNull(error?.['code']) ?? codeOrNull(response.headers.get('x-ms-error-code'));
  if (error === null) {
    const text = textOfBody(body);
    return { code, message: text === null ? null : cleanMessage(text, secrets) };
  }
  const parts = [textOrNull(error['message']), ...detailsOf(error['details'])].filter((part) => part !== null);
  return { code, message: parts.length === 0 ? null : cleanMessage(parts.join(' '), secrets) };
}

/**
 * Azure's answers carry x-ms-request-id, and its errors x-ms-error-code or a body of its form. A page of HTML comes from
 * a proxy, a firewall or a portal, or from the web server in front of Azure Monitor (azure-sdk-for-net#39542): nothing
 * that it says is about rows. The exception is a page with Azure's request id and a status of 500 or more, which
 * Azure's own gateways write when what is behind them is away.
 */
export function answererOf({ status, headers, bodyAsText }: PipelineResponse): Answerer {
  const body = bodyAsText ?? '';
  const isMarked = headers.has('x-ms-request-id') || headers.has('x-ms-error-code') || errorObjectOf(body) !== null;
  const isHtml =
    /\b(html|xhtml)\b/i.test(headers.get('Content-Type') ?? '') || /^\s*<(!doctype\s+html|html)\b/i.test(body);
  if (isHtml && !(isMarked && status >= 500)) return 'page';
  return isMarked ? 'azure' : 'unmarked';
}

function detailsOf(details: unknown): (string | null)[] {
  if (!Array.isArray(details)) return [];
  return details.slice(0, 5).map((detail: unknown) => (isRecord(detail) ? textOrNull(detail['message']) : null));
}

function errorObjectOf(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body);
    const error = isRecord(value) ? value['error'] : null;
    return isRecord(error) && ('code' in error || 'message' in error) ? error : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A text of another form may be anything, a row among them. */
function codeOrNull(value: unknown): string | null {
  return typeof value === 'string' && /^[A-Za-z0-9_.]{1,64}$/.test(value) ? value : null;
}
