/**
 * A log-bucket histogram of durations, in the form of the report (api/report.ts).
 *
 * Owns:   the bucket of a duration. Buckets are 2 % wide, so that a quantile is within 2 % of the exact value.
 * Limits: at most `maxIndex` + 1 buckets; only buckets with a count are stored.
 */
import type { Histogram } from './report.ts';

export const base = 1e-4;
export const growth = 1.02;
/** Bounds the memory of a histogram. The upper bound of bucket 1000 is a little more than 11 hours. */
const maxIndex = 1000;
const logGrowth = Math.log(growth);

/**
 * @param seconds 0 or more
 * @returns the bucket i with base * growth^(i-1) < seconds <= base * growth^i; 0 for shorter durations, `maxIndex` for
 * longer ones
 */
export function durationBucket(seconds: number): number {
  if (!(seconds > base)) return 0;
  const index = Math.ceil(Math.log(seconds / base) / logGrowth);
  // At the exact bound of a bucket, the rounding of the logarithm may give the next bucket.
  const exact = seconds <= base * growth ** (index - 1) ? index - 1 : index;
  return Math.min(exact, maxIndex);
}

export class DurationCounts {
  readonly #counts = new Map<number, number>();

  observe(seconds: number): void {
    const index = durationBucket(seconds);
    this.#counts.set(index, (this.#counts.get(index) ?? 0) + 1);
  }

  snapshot(): Histogram {
    const sorted = [...this.#counts].sort(([a], [b]) => a - b);
    return { base, growth, counts: Object.fromEntries(sorted.map(([index, count]) => [String(index), count])) };
  }
}
