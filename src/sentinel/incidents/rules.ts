import type { JsonObject } from '../../ground/json.ts';
import { type Incident, property, textOf, textsOf } from './incident.ts';

/**
 * A name of ours in a query: a table (`AponoAccessRequests_CL`), a stream (`Custom-AponoAuditLogs_CL`), a function
 * (`AponoAccessEvents`) or an ASIM parser (`vimAuditEventApono`). Case matters to KQL.
 */
const ourName = /(?<![A-Za-z0-9])Apono[A-Z]\w*|\b(?:ASim|vim|im)\w*Apono\b/;

/**
 * The names (GUIDs, lower case) of the analytics rules that read what comes from Apono: those that this product ships,
 * copies of them, and those that somebody wrote on the same tables and functions.
 */
export function aponoRuleNames(rules: readonly JsonObject[]): ReadonlySet<string> {
  const ours = rules.filter((rule) => readsOurs(withoutComments(textOf(property(rule, 'query')) ?? '')));
  return new Set(ours.flatMap((rule) => lastSegment(textOf(rule['name']) ?? textOf(rule['id']) ?? '') ?? []));
}

/** Errors of the data collection rule stand in a table of Azure's, and are ours by the name of the stream. */
function readsOurs(query: string): boolean {
  return ourName.test(query) || (/\bDCRLogErrors\b/.test(query) && /apono/i.test(query));
}

/** Whether one of these rules made an alert of the incident. */
export function isMadeBy({ resource }: Incident, ruleNames: ReadonlySet<string>): boolean {
  return textsOf(property(resource, 'relatedAnalyticRuleIds')).some((id) => ruleNames.has(lastSegment(id) ?? ''));
}

/** Ids are compared without regard to case, and Azure spells the rest of them in several ways. */
function lastSegment(id: string): string | null {
  return id.split('/').at(-1)?.toLowerCase() || null;
}

/** KQL's comments; a `//` inside of a text, as in a URL, is none. */
function withoutComments(query: string): string {
  return query.replaceAll(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\/[^\n]*/g,
    (_whole, literal?: string) => literal ?? ' ',
  );
}
