import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/** Nothing that is answered here is ever to be shown as a page. Subdomains are not this service's to speak for. */
export const setSecurityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  frameguard: { action: 'deny' },
  strictTransportSecurity: { includeSubDomains: false },
});

/**
 * What helmet sets, as `writeHead` takes it: name, value, name, value, … With these options it is the same for every
 * request (test/http/security-headers.test.ts holds it to that), and asking helmet again for each answer took a tenth of
 * the time that one cost.
 */
export const securityHeaders: readonly string[] = recordHeaders();

function recordHeaders(): string[] {
  const headers: string[] = [];
  class Recorder extends ServerResponse {
    override setHeader(name: string, value: number | string | readonly string[]): this {
      headers.push(name, String(value));
      return this;
    }
  }
  const request = new IncomingMessage(new Socket());
  let isDone = false;
  setSecurityHeaders(request, new Recorder(request), (error?: unknown) => {
    isDone = error === undefined;
  });
  if (!isDone) throw new Error('helmet has not set its headers at once');
  return headers;
}
