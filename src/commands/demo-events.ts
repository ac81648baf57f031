import { sampleBody } from '../kinds/body-template.ts';

/** Bodies as Apono sends them, with the current time: four of access requests and one of each other webhook. */
export function demoEvents(nowMs: number) {
  const body = (name: string) => sampleBody(name, { time: (nowMs / 1000).toFixed(6) });
  return [
    { title: 'the event of Apono’s documentation, as JSON', body: body('documented'), rows: 1 },
    { title: 'a grant of two resources in two integrations, as JSON', body: body('granted'), rows: 3 },
    { title: 'a body template with a line break and a backslash in the text', body: body('template'), rows: 1 },
    // After the rejected one: a row that is refused is called dead only when Azure has taken another one since.
    { title: 'a row of Apono’s own Sentinel recipe', body: body('recipe'), rows: 1 },
    { title: 'an event of the audit log: somebody changed an access flow', body: body('audit'), rows: 1 },
    { title: 'an anomaly with the request that it is about', body: body('anomaly'), rows: 1 },
    { title: 'an integration in trouble, with two issues', body: body('integration'), rows: 2 },
  ];
}
