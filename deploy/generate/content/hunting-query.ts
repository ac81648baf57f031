import { literal, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import type { HuntingQuery, Named, Parser } from './content.ts';
import { dependencies, savedSearchName } from './functions.ts';
import { techniquesOf } from './techniques.ts';

/**
 * A hunting query: a saved search of this category, whose tags Sentinel shows.
 * https://learn.microsoft.com/azure/sentinel/hunting-with-rest-api
 */
export function huntingQueryResource({ value }: Named<HuntingQuery>, parsers: readonly Named<Parser>[]): JsonFields {
  return {
    type: 'Microsoft.OperationalInsights/workspaces/savedSearches',
    apiVersion: '2025-07-01',
    name: savedSearchName(value.id),
    condition: parameterValue('deployHuntingQueries'),
    ...dependencies(value.query, parsers),
    properties: {
      // As in functions.ts: it lets a second deployment replace the query.
      etag: '*',
      category: 'Hunting Queries',
      displayName: literal(value.name),
      query: literal(value.query),
      version: 2,
      tags: [
        { name: 'description', value: literal(value.description.trim()) },
        { name: 'tactics', value: value.tactics.join(',') },
        { name: 'techniques', value: techniquesOf(value.relevantTechniques).join(',') },
      ],
    },
  };
}
