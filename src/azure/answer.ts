import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { cleanMessage, textOfBody } from './messages.ts';

export interface ErrorDetail {
  readonly code: string | null;
  readonly message: string | null;
}

/**
 * What Azure says in an answer that is no success: `{"error":{"code","message","details"}}` as its specification has it,
 * the header x-ms-error-code, or, from a gateway or proxy, the text of a page.
 */
export function errorDetailOf(response: PipelineResponse, secrets: readonly string[] = []): ErrorDetail {
  const body = response.bodyAsText ?? '';
  const error = errorObjectOf(body);
  const code = textOrNull(error?.['code']) ?? response.headers.get('x-ms-error-code') ?? null;
  if (error === null) {
    const text = textOfBody(body);
    return { code, message: text === null ? null : cleanMessage(text, secrets) };
  }
  const parts = [textOrNull(error['message']), ...detailsOf(error['details'])].filter((part) => part !== null);
  return { code, message: parts.length === 0 ? null : cleanMessage(parts.join(' '), secrets) };
}

function detailsOf(details: unknown): (string | null)[] {
  if (!Array.isArray(details)) return [];
  return details.slice(0, 5).map((detail: unknown) => (isRecord(detail) ? textOrNull(detail['message']) : null));
}

function errorObjectOf(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) && isRecord(value['error']) ? value['error'] : null;
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
