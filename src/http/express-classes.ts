import http from 'node:http';
import type { Express } from 'express';

/**
 * The classes of an app's requests and responses, for Node to make them of. Express would make each of them its own by
 * another prototype, and objects that change theirs are slow in all that is done with them afterwards: a tenth of what
 * the edge costs. Whose prototype is the right one already stays as it is.
 */
export function classesOf(app: Express): Pick<http.ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class ExpressRequest extends http.IncomingMessage {}
  class ExpressResponse<R extends http.IncomingMessage> extends http.ServerResponse<R> {}
  app.request = extending(ExpressRequest.prototype, app.request);
  app.response = extending(ExpressResponse.prototype, app.response);
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}

function extending<T extends object>(prototype: object, base: T): T {
  return Object.setPrototypeOf(prototype, base);
}
