import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createBoundedRead } from '../../../ground/clock.ts';
import { type OutboxOperator, RecordIdError } from '../../../outbox/operator.ts';
import { STATS_LIMIT_MS } from '../../../outbox/port.ts';
import type { Answer } from '../../answer.ts';
import type { AppOptions, AppRoute } from '../../app.ts';
import type { ReadStatus, StatusSources } from '../../status.ts';
import { gonePage, headlineOf, recordPage } from './event.ts';
import { html, pageAnswer } from './layout.ts';
import { overviewPage, type RecordList } from './overview.ts';

/** Of each list; a person reads no more at a glance. */
const MAX_RECORDS = 20;

export interface PageOptions extends Pick<StatusSources, 'history'>, Pick<AppOptions, 'clock'> {
  readonly operator: OutboxOperator;
  readonly readStatus: ReadStatus;
}

/** The page, the pages of single records, and the files that they need. */
export function pageRoutes(options: PageOptions): AppRoute[] {
  const { operator, history, readStatus, clock } = options;
  const limits = { limitMs: STATS_LIMIT_MS, clock };
  // One question to the outbox at a time, and not for long: the page is needed most when something is wrong.
  const readDead = createBoundedRead(createList(operator, 'dead'), limits);
  const readQuarantined = createBoundedRead(createList(operator, 'quarantined'), limits);
  const page = (path: string, handler: AppRoute['handler']): AppRoute => ({ path, route: 'admin', handler });
  return [
    page('/', async () => {
      const [status, dead, quarantined] = await Promise.all([readStatus(), readDead(), readQuarantined()]);
      const overview = overviewPage({ status, history: history.columns(), dead, quarantined });
      return pageAnswer(200, status.sentence, overview);
    }),
    page('/events', ({ request }) => eventAnswer(options, String(request.query['id']).trim())),
    page('/events/:id', ({ request }) => eventAnswer(options, String(request.params['id']))),
    ...assetRoutes(),
  ];
}

async function eventAnswer({ operator }: PageOptions, id: string): Promise<Answer> {
  try {
    const record = await operator.show(id);
    const holds = record?.pending_rows ? (await operator.stats()).holds : [];
    if (record !== null) return pageAnswer(200, record.id, recordPage(record, holds));
    const event = await operator.gone(id);
    if (event !== null) return pageAnswer(200, event.id, gonePage(event));
    return pageAnswer(404, 'No such record', notFound('No record has this id, or it is no longer remembered.'));
  } catch (error) {
    if (error instanceof RecordIdError) return pageAnswer(404, 'No such record', notFound(error.message));
    throw error;
  }
}

/**
 * Reads the first records of a state. A record is read whole for its headline, and a body may have megabytes, so each is
 * read once: what is stored of it never changes.
 */
function createList(operator: OutboxOperator, state: 'dead' | 'quarantined'): () => Promise<RecordList> {
  let headlines = new Map<string, string | null>();
  return async () => {
    const { records, next } = await operator.list({ state, limit: MAX_RECORDS });
    const shown = await Array.fromAsync(records, async (record) => {
      const detail = headlines.has(record.id) ? null : await operator.show(record.id);
      return { ...record, headline: headlines.get(record.id) ?? (detail && headlineOf(detail)) };
    });
    headlines = new Map(shown.map(({ id, headline }) => [id, headline]));
    return { records: shown, hasMore: next !== null };
  };
}

function notFound(why: string) {
  return html`<section id="event"><h1>No such record</h1>
<p>${why}</p>
<p><a href="/">Back to the overview</a></p></section>`;
}

function assetRoutes(): AppRoute[] {
  const script = 'text/javascript; charset=utf-8';
  const style = 'text/css; charset=utf-8';
  const { resolve } = createRequire(import.meta.url);
  const asset = (name: string, contentType: string, file = `./assets/${name}`): AppRoute => {
    const answer: Answer = { status: 200, contentType, body: readFileSync(resolve(file), 'utf8') };
    return { path: `/assets/${name}`, route: 'admin', handler: () => answer };
  };
  return [
    asset('page.css', style),
    asset('page.js', script),
    asset('icon.svg', 'image/svg+xml'),
    asset('uplot.js', script, 'uplot/dist/uPlot.iife.min.js'),
    asset('uplot.css', style, 'uplot/dist/uPlot.min.css'),
  ];
}
