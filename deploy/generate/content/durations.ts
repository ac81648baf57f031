/** `5m`, `47h`, `14d` of a YAML file as Resource Manager takes them: ISO 8601, `PT5M`, `PT47H`, `P14D`. */
export function isoDuration(duration: string): string {
  if (duration.startsWith('P')) return duration;
  const amount = duration.slice(0, -1);
  const unit = duration.slice(-1);
  return unit === 'd' ? `P${amount}D` : `PT${amount}${unit.toUpperCase()}`;
}
