import { type ArrivedRow, type Fields, rowsOf } from './events.ts';
import type { Samples } from './script.ts';

/* Rows for the runs of the hunting queries, which look at days rather than at minutes. */

/** `02T09:00`: a minute of November 2026; `10-02T09:00`: of October. */
const day = (minute: string): string => `2026-${minute.length > 8 ? minute : `11-${minute}`}`;
export const seconds = (minute: string): number => Date.parse(`${day(minute)}:00Z`) / 1000;
export const instant = (minute: string): string => `${day(minute)}:00.000000Z`;
export const shown = (minute: string): string => `${day(minute)}:00.0000000Z`;

export interface Step {
  readonly action: string;
  readonly time: string;
  readonly data?: Fields;
  /** When it arrived, if not at once. */
  readonly arrived?: string;
}

export const requests = (...steps: readonly Step[]): Samples => ({
  AponoAccessRequests_CL: steps.flatMap(({ action, time, data = {}, arrived = time }, index) => {
    const whole: Fields = { id: `r-${index}`, friendly_id: `AR-${index}`, ...person('Ana'), ...data };
    return rowsOf(
      'request',
      { event_type: `AccessRequest${action}`, event_time: seconds(time), data: whole },
      instant(arrived),
    );
  }),
});

export const person = (name: string, domain = 'example.com'): Fields => ({
  requester: { id: `u-${name}`, name, email: `${name.toLowerCase()}@${domain}` },
});

export const test: Fields = { id: 'apono-sentinel-test-1' };

export const access = (permission: string, ...resources: readonly string[]): Fields => ({
  access_groups: [
    {
      integration: { id: 'i1', type: 'postgresql', name: 'orders-prod' },
      access_units: resources.map((name) => ({ resource: { id: name, name }, permission: { name: permission } })),
    },
  ],
});

export const audit = (...events: readonly (Fields & { readonly time: string })[]): Samples => ({
  AponoAuditLogs_CL: events.flatMap(({ time, ...data }) =>
    rowsOf('audit', { event_type: 'AuditLog', event_time: seconds(time), data }, instant(time)),
  ),
});

export const actor = (name: string): Fields => ({ actor_id: `${name.toLowerCase()}@example.com`, actor_name: name });

export function beats(...rows: readonly (Fields & { readonly time: string; readonly instance: string })[]): Samples {
  const zero = { accepted: 0, duplicate: 0, quarantined: 0, dead: 0, unauthorized: 0, delivered: 0, waiting: 0 };
  return {
    AponoProxyHeartbeat_CL: rows.map(
      ({ time, ...columns }): ArrivedRow => ({
        arrivedAt: instant(time),
        row: { TimeGenerated: instant(time), started_at: instant('01T00:00'), ...zero, ...columns },
      }),
    ),
  };
}
