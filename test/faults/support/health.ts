import { eventually } from '../../support/eventually.ts';

export interface Health {
  readonly code: number;
  readonly hold: { readonly reason: string; readonly fix: string } | null;
  readonly outbox: { readonly waiting: number; readonly held: number; readonly dead: number };
  readonly problems: readonly { readonly code: string; readonly message: string; readonly fix: string }[];
}

export async function healthOf(port: number): Promise<Health> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  return { code: response.status, ...((await response.json()) as Omit<Health, 'code'>) };
}

/** Until nothing waits and nothing is held. */
export async function drained(port: number, limitMs?: number): Promise<void> {
  let last: Health | null = null;
  await eventually(
    async () => {
      last = await healthOf(port);
      return last.outbox.waiting === 0 && last.outbox.held === 0;
    },
    () => last,
    limitMs,
  );
}
