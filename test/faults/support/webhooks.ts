import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { SECRET } from '../../support/service-process.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export interface AcceptedEvent {
  readonly event_id: string;
  readonly rows: number;
  readonly duplicate: boolean;
}

export function webhook(id: string, units = 1, more: object = {}): string {
  const access_units = Array.from({ length: units }, (_, index) => ({ resource: { id: `${id}-${index}` } }));
  return JSON.stringify({
    event_type: 'RequestGranted',
    event_time: 1_790_000_000.5,
    data: { id, access_groups: [{ integration: { id: 'i' }, access_units }], ...more },
  });
}

/** Rejects when the connection fails before the answer is whole: then nobody knows whether it was taken. */
export function postOnce(agent: http.Agent, port: number, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${SECRET}`, 'content-length': Buffer.byteLength(body) };
    const options = { agent, port, host: '127.0.0.1', path: '/apono/webhook', method: 'POST', headers };
    const request = http.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

export function eventsOf({ text }: Answer): readonly AcceptedEvent[] {
  const answer = JSON.parse(text) as AcceptedEvent & { events?: readonly AcceptedEvent[] };
  return answer.events ?? [answer];
}

export interface Tally {
  /** Rows of each event that was answered 2xx. */
  readonly accepted: Map<string, number>;
  answered503: number;
  /** Connections that were refused, or broke before an answer. */
  broken: number;
}

export interface RetryingSender {
  readonly tally: Tally;
  /** Resolves once the body was answered 2xx. An answer that is neither that nor a 503 with Retry-After fails the test. */
  send(body: string): Promise<void>;
  close(): void;
}

/**
 * Sends as Apono's side of a good proxy would: again, with the same body, until it is taken. `port` is asked anew each
 * time, since the service may come back on another one.
 */
export function retryingSender(port: () => number, maxSockets = 64): RetryingSender {
  const agent = new http.Agent({ keepAlive: true, maxSockets });
  const tally: Tally = { accepted: new Map(), answered503: 0, broken: 0 };
  let isClosed = false;

  async function tryOnce(body: string): Promise<boolean> {
    let answer: Answer;
    try {
      answer = await postOnce(agent, port(), body);
    } catch {
      tally.broken++;
      return false;
    }
    if (answer.status === 503) {
      assert.ok(Number(answer.headers['retry-after']) > 0, 'each 503 says when to come again');
      tally.answered503++;
      return false;
    }
    assert.equal(answer.status, 200, answer.text);
    for (const { event_id, rows } of eventsOf(answer)) tally.accepted.set(event_id, rows);
    return true;
  }

  return {
    tally,
    async send(body) {
      while (!(await tryOnce(body))) {
        if (isClosed) return;
        await pause(50);
      }
    },
    close() {
      isClosed = true;
      agent.destroy();
    },
  };
}
