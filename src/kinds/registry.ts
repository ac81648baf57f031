import type { WebhookKind } from './kind.ts';
import { requestKind } from './request/kind.ts';

/** The feeds of Apono's that this version takes. A further one is a folder beside request/, its schemas and a line here. */
export const kinds: readonly WebhookKind[] = [requestKind];

export function kindNamed(name: string): WebhookKind | undefined {
  return kinds.find((kind) => kind.name === name);
}
