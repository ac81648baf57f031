import { literal, parameterValue } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import type { HuntingQuery, Named } from './content.ts';
import { type SavedSearches, savedSearchName } from './functions.ts';
import { techniquesOf } from './techniques.ts';

/**
 * A hunting query: a saved search of this category, whose tags Sentinel shows.
 * https://learn.microsoft.com/azure/sentinel/hunting-with-rest-api
 */
export function huntingQueryResource({ value }: Named<HuntingQuery>, searches: SavedSearches): JsonFields {
  return {
    type: 'Microsoft.OperationalInsights/workspaces/savedSearches',
    apiVersion: '2025-07-01',
    name: savedSearchName(value.id),
    condition: parameterValue('deployHuntingQueries'),
    ...searches.dependencies(value.id, value.query),
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
