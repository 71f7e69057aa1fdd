/**
 * A log-bucket histogram of durations, in the form of the report (api/report.ts).
 *
 * Owns:  which bucket a duration falls into. Buckets are 2 % wide, so that a quantile read from them is within
 *        2 % of the true one; they are sparse, and there are at most `maxIndex` + 1.
 */
import type { Histogram } from './report.ts';

export const base = 1e-4;
export const growth = 1.02;
/** Bounds the memory: 1000 buckets reach beyond 11 hours. */
const maxIndex = 1000;
const logGrowth = Math.log(growth);

/**
 * @param seconds 0 or more
 * @returns the bucket i with base * growth^(i-1) < seconds <= base * growth^i; 0 for what is below
 */
export function durationBucket(seconds: number): number {
  if (!(seconds > base)) return 0;
  const index = Math.ceil(Math.log(seconds / base) / logGrowth);
  // Logarithms round: at a bucket's very bound the neighbour may come out.
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
