/**
 * Parses and prints durations, percentages and sizes in bytes.
 *
 * Owns: the grammars of durations and percentages, which the CRD uses too. A parser returns undefined for text outside
 *       its grammar; the caller decides whether that is a user's mistake or a bug.
 */

/** The grammar of a duration, also used by the CRD: "200ms", "15m", "1h30m", "0ms". */
export const durationPattern = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$';
/** The grammar of a percentage, also used by the CRD: "15%", "0.5%". */
export const percentPattern = '^[0-9]{1,3}(\\.[0-9]{1,4})?%$';

/** @returns the share, "15%" → 0.15; undefined when the text is not a percentage */
export function parsePercent(text: string): number | undefined {
  return new RegExp(percentPattern).test(text) ? Number(text.slice(0, -1)) / 100 : undefined;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** @returns milliseconds, or undefined when the text is not a duration */
export function parseDurationMs(text: string): number | undefined {
  if (text.length > 64 || !new RegExp(durationPattern).test(text)) return undefined;
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit] ?? NaN);
  return Math.round(total);
}

/** Prints the shortest exact form: 90000 → "1m30s". */
export function formatDurationMs(ms: number): string {
  if (ms === 0) return '0ms';
  let left = ms;
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1;
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  return text;
}

const suffixes: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** Prints bytes in the largest binary unit that fits, rounded by at most 5 %: 1,610,612,736 → "1.5Gi". */
export function formatBytes(bytes: number): string {
  for (const suffix of ['Gi', 'Mi', 'Ki']) {
    const size = suffixes[suffix] ?? 1;
    if (bytes >= size) {
      const value = bytes / size;
      return (
        `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1).replace(/\.0$/, '')}` +
        `${suffix}`
      );
    }
  }
  return `${Math.round(bytes)}`;
}
