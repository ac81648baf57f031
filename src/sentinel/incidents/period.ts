const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** What `--since` and `--until` take, for messages. */
export const timeForms = '2026-11-01, 2026-11-01T08:00:00Z, or back from now 30m, 24h, 7d, 4w';

/**
 * A moment: ISO 8601 (UTC unless it says otherwise; a date alone is its midnight), or so many minutes, hours, days or
 * weeks before `nowMs`. Null when it is neither.
 */
export function parseMoment(text: string, nowMs: number): Date | null {
  const back = /^(\d{1,6})([mhdw])$/.exec(text);
  if (back !== null) return validDate(nowMs - Number(back[1]) * unitMs[back[2] as keyof typeof unitMs]);
  const iso = /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s?(Z|z|[+-]\d{2}:\d{2})?)?$/.exec(
    text,
  );
  if (iso === null) return null;
  const [, day = '', time = '00:00', zone = 'Z'] = iso;
  // Date takes the 30th of February for the 2nd of March.
  if (!isDay(day)) return null;
  return validDate(Date.parse(`${day}T${time}${zone.toUpperCase()}`));
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

/** Azure's times begin with the year 1. */
function validDate(ms: number): Date | null {
  return Number.isNaN(ms) || ms < 0 ? null : new Date(ms);
}
