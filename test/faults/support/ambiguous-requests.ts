import { head, secret } from '../../http/edge.ts';

/** A webhook that stands inside of another request, where only a server that reads the outer one wrongly finds it. */
export function hiddenWebhook(name: string): { readonly request: string; readonly body: string } {
  const body = `{"event_type":"RequestGranted","event_time":1763719200,"data":{"id":"hidden: ${name}"}}`;
  const lines = `Host: a\r\nAuthorization: Bearer ${secret}\r\nContent-Length: ${body.length}\r\n`;
  return { request: `POST /apono/webhook HTTP/1.1\r\n${lines}\r\n${body}`, body };
}

interface AmbiguousRequest {
  /** As latin1. */
  readonly bytes: string;
  /** The statuses of all answers on the connection. */
  readonly answers: readonly number[];
}

/** Shapes of request smuggling (RFC 9112, 11.2), each with a hidden webhook of its own. */
export function ambiguousRequests(): readonly (readonly [name: string, AmbiguousRequest])[] {
  const withHidden = (name: string, make: (hidden: string) => string, ...answers: number[]) =>
    [name, { bytes: make(hiddenWebhook(name).request), answers }] as const;
  const outer = (lines: readonly string[], rest: string) => head(lines) + rest;
  const ended = (hidden: string) => `0\r\n\r\n${hidden}`;
  const lengthOf = (text: string) => `Content-Length: ${text.length}`;
  return [
    withHidden(
      'a length, then chunks',
      (h) => outer([lengthOf(ended(h)), 'Transfer-Encoding: chunked'], ended(h)),
      400,
    ),
    withHidden(
      'chunks, then a length',
      (h) => outer(['Transfer-Encoding: chunked', lengthOf(ended(h))], ended(h)),
      400,
    ),
    withHidden('two lengths', (h) => outer([lengthOf(h), 'Content-Length: 0'], h), 400),
    withHidden('the same length twice', (h) => outer(['Content-Length: 0', 'Content-Length: 0'], h), 400),
    withHidden('a list of lengths', (h) => outer(['Content-Length: 0, 0'], h), 400),
    withHidden('a length with a sign', (h) => outer(['Content-Length: +0'], h), 400),
    withHidden('a length in hexadecimal', (h) => outer(['Content-Length: 0x0'], h), 400),
    withHidden('an empty length', (h) => outer(['Content-Length:'], h), 400),
    withHidden('chunked under another name', (h) => outer(['Transfer-Encoding: xchunked'], ended(h)), 400),
    withHidden('identity', (h) => outer(['Transfer-Encoding: identity', lengthOf(ended(h))], ended(h)), 400),
    withHidden('chunked, but not last', (h) => outer(['Transfer-Encoding: chunked, identity'], ended(h)), 400),
    withHidden(
      'two codings in two lines',
      (h) => outer(['Transfer-Encoding: chunked', 'Transfer-Encoding: x'], h),
      400,
    ),
    withHidden(
      'a blank before the colon',
      (h) => outer(['Transfer-Encoding : chunked', lengthOf(ended(h))], ended(h)),
      400,
    ),
    withHidden('a vertical tab', (h) => outer(['Transfer-Encoding: \x0bchunked', lengthOf(ended(h))], ended(h)), 400),
    withHidden('a folded line', (h) => outer(['Transfer-Encoding:\r\n chunked', lengthOf(ended(h))], ended(h)), 400),
    withHidden('a folded length', (h) => outer(['X-A: b\r\n\tc', lengthOf(h)], h), 400),
    withHidden('a NUL in a header', (h) => outer(['X-A: b\0c', lengthOf(h)], h), 400),
    withHidden('a header without a colon', (h) => outer(['X-A', lengthOf(h)], h), 400),
    withHidden('line feeds alone', (h) => outer([lengthOf(h)], h).replaceAll('\r\n', '\n'), 400),
    withHidden('a carriage return alone', (h) => outer([`X-A: b\r${lengthOf(h)}`], h), 400),
    withHidden('a chunk size with 0x', (h) => outer(['Transfer-Encoding: chunked'], `0x0\r\n\r\n${h}`), 400),
    withHidden('a negative chunk size', (h) => outer(['Transfer-Encoding: chunked'], `-1\r\n\r\n${h}`), 400),
    withHidden(
      'a chunk size beyond counting',
      (h) => outer(['Transfer-Encoding: chunked'], `${'f'.repeat(20)}\r\n${h}`),
      400,
    ),
    withHidden('a chunk longer than it says', (h) => outer(['Transfer-Encoding: chunked'], `2\r\n{} ${h}`), 400),
    withHidden(
      'a line feed in a chunk extension',
      (h) => outer(['Transfer-Encoding: chunked'], `0;\n\r\n\r\n${h}`),
      400,
    ),
    withHidden(
      'a chunk extension of 20 KB',
      (h) => outer(['Transfer-Encoding: chunked'], `2;${'x'.repeat(20_000)}\r\n${h}`),
      413,
    ),
    withHidden(
      'a thousand chunk extensions',
      (h) => outer(['Transfer-Encoding: chunked'], `${`1;${'x'.repeat(50)}\r\n \r\n`.repeat(1_000)}${h}`),
      400,
    ),
    withHidden('a request in the trailers', (h) => outer(['Transfer-Encoding: chunked'], `2\r\n{}\r\n0\r\n${h}`), 400),
    withHidden('a request in a GET’s body', (h) => `GET /livez HTTP/1.1\r\nHost: a\r\n${lengthOf(h)}\r\n\r\n${h}`, 200),
    withHidden(
      'a request in the body of a refused one',
      (h) => `POST /nowhere HTTP/1.1\r\nHost: a\r\n${lengthOf(h)}\r\n\r\n${h}`,
      404,
    ),
    withHidden('a request in a body that is none', (h) => outer([lengthOf(h)], h), 400),
    withHidden(
      'chunks in HTTP/1.0',
      (h) => outer(['Transfer-Encoding: chunked'], ended(h)).replace('HTTP/1.1', 'HTTP/1.0'),
      400,
    ),
    withHidden('no Host', (h) => `POST /apono/webhook HTTP/1.1\r\n${lengthOf(h)}\r\n\r\n${h}`, 400),
    withHidden('two Hosts', (h) => outer(['Host: b', lengthOf(h)], h), 400),
    withHidden('a version that is none', (h) => outer([lengthOf(h)], h).replace('HTTP/1.1', 'HTTP/9.9'), 400),
  ];
}
