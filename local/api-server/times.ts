/**
 * The formats of times in the API.
 * Pure: `Time` has whole seconds, and `MicroTime` has exactly six decimal places. Both are in UTC.
 */

export function toTime(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

export function toMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** An age in kubectl's format: `5s`, `3m7s`, `4h`, `2d3h`, `400d`. */
export function ageOf(fromTime: string | undefined, nowMs: number): string {
  if (fromTime === undefined) return '<unknown>';
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(fromTime)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return withRest(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return withRest(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? withRest(years, 'y', days % 365, 'd') : `${years}y`;
}

function withRest(whole: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`;
}
