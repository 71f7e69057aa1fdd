/**
 * How long to wait before trying again.
 *
 * Owns: the backoff formula. Pure: chance comes in as `random`, so a test knows the answer.
 */

export type Backoff = {
  /** The first wait, in milliseconds. */
  readonly baseMs: number;
  /** No wait is longer than this, jitter included. */
  readonly maxMs: number;
};

/**
 * Exponential backoff with jitter in [0.5, 1): half of the wait is certain, so that a herd spreads
 * and yet nobody hammers.
 *
 * @param attempt how many tries failed so far, 1 or more
 * @param random  a number in [0, 1)
 * @returns milliseconds to wait
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  // 2^40 ms is 35 years: past that the exponent only risks Infinity.
  const ceiling = Math.min(backoff.baseMs * 2 ** Math.min(Math.max(attempt, 1) - 1, 40), backoff.maxMs);
  return ceiling * (0.5 + random / 2);
}
