import type { IncomingMessage } from 'node:http';

/**
 * Every value of a header, in the order of their coming, where `request.headers` keeps the first or joins them. `name`
 * is in lower case. Not `request.headersDistinct`, which makes lists of all headers to look at one.
 */
export function headerValues({ rawHeaders }: IncomingMessage, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index];
    if (raw?.length === name.length && raw.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}
