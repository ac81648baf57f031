import { anomalyKind } from './anomaly.ts';
import { auditKind } from './audit.ts';
import { integrationKind } from './integration.ts';
import type { WebhookKind } from './kind.ts';
import { requestKind } from './request.ts';

/** The webhook kinds of this version. CONTRIBUTING.md walks through adding one. */
const registered = [requestKind, auditKind, anomalyKind, integrationKind];

/** The variables that name their streams. */
export type StreamVariable = (typeof registered)[number]['streamVariable'];

export type RegisteredKind = WebhookKind & { readonly streamVariable: StreamVariable };

export const kinds: readonly RegisteredKind[] = registered;

export function kindNamed(name: string): RegisteredKind | undefined {
  return kinds.find((kind) => kind.name === name);
}
