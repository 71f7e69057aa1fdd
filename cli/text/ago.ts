/** Durations since a time, such as "4m". Pure: the current time is a parameter. */

const spans: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/** How long ago a time was, in the largest unit that fits: "4m". @param at an RFC 3339 time */
export function ago(at: string, now: number): string {
  const ms = now - Date.parse(at);
  if (Number.isNaN(ms)) return '?';
  const [unit, size] = spans.find(([, span]) => ms >= span) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}
