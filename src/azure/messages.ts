/** Texts for people out of what the network and foreign servers give. None of them may carry a token or a secret. */

const maxMessageLength = 1_024;

/** Removes the given secrets and whatever follows a `Bearer`, flattens white space and cuts to 1,024 characters. */
export function cleanMessage(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret !== '') clean = clean.replaceAll(secret, '[redacted]');
  }
  clean = clean
    .replace(/\bBearer\s+[\w.~+/=-]{8,}/gi, 'Bearer [redacted]')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length > maxMessageLength ? `${clean.slice(0, maxMessageLength - 1)}…` : clean;
}

/**
 * `CODE: text` of an error of Node's or the SDK's, e.g. `ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:443`. Node's own
 * AggregateError for a host with several addresses has no text, so the code alone must do.
 */
export function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  if (code === null) return error.message === '' ? error.name : error.message;
  return error.message === '' ? code : `${code}: ${error.message}`;
}

/** What an answer that is not JSON says, for a person: the title of a page, or its text without the tags. */
export function textOfBody(body: string): string | null {
  const head = body.slice(0, 20_000);
  const title = /<title[^>]*>([^<]{1,300})<\/title>/i.exec(head)?.[1];
  const text = (
    title ??
    head
      .replace(/<(script|style)\b[^>]*>[^<]*<\/\1>/gi, ' ')
      .replace(/<[^>]*>/g, ' ')
      .slice(0, 2_000)
  )
    .replace(/\s+/g, ' ')
    .trim();
  return text === '' ? null : text.slice(0, 300);
}
