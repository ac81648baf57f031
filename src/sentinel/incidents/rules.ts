import type { JsonObject } from '../../ground/json.ts';
import { type Incident, property, textOf, textsOf } from './incident.ts';

/**
 * One of this product's names in a query: a table (`AponoAccessRequests_CL`), a stream (`Custom-AponoAuditLogs_CL`), a
 * function (`AponoAccessEvents`) or an ASIM parser (`vimAuditEventApono`). Case matters to KQL.
 */
const ourName = /(?<![A-Za-z0-9])Apono[A-Z]\w*|\b(?:ASim|vim|im)\w*Apono\b/;

/**
 * The names (GUIDs, lower case) of the analytics rules that read Apono's data: those that this product ships, copies of
 * them, and rules that somebody wrote on the same tables and functions.
 */
export function aponoRuleNames(rules: readonly JsonObject[]): ReadonlySet<string> {
  const ours = rules.filter((rule) => readsOurs(withoutComments(textOf(property(rule, 'query')) ?? '')));
  return new Set(ours.flatMap((rule) => lastSegment(textOf(rule['name']) ?? textOf(rule['id']) ?? '') ?? []));
}

/** Azure writes errors of the data collection rule to DCRLogErrors, where the name of the stream makes them ours. */
function readsOurs(query: string): boolean {
  return ourName.test(query) || (/\bDCRLogErrors\b/.test(query) && /apono/i.test(query));
}

/** Whether one of these rules made an alert of the incident. */
export function isMadeBy({ resource }: Incident, ruleNames: ReadonlySet<string>): boolean {
  return textsOf(property(resource, 'relatedAnalyticRuleIds')).some((id) => ruleNames.has(lastSegment(id) ?? ''));
}

/** The GUID at the end of an id, in lower case, because Azure spells the rest of an id in several ways. */
function lastSegment(id: string): string | null {
  return id.split('/').at(-1)?.toLowerCase() || null;
}

/** Removes KQL's comments. A `//` inside of a string, as in a URL, begins none. */
function withoutComments(query: string): string {
  return query.replaceAll(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\/[^\n]*/g,
    (_whole, literal?: string) => literal ?? ' ',
  );
}
