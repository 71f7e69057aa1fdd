/**
 * How long to wait before the next try.
 * Owns: the back-off formula. Pure: randomness is passed in as `random`.
 */

export type Backoff = {
  /** The first wait, in milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every wait, jitter included. */
  readonly maxMs: number;
};

/**
 * Exponential back-off with jitter in [0.5, 1). Jitter spreads clients that failed together; at least half of the wait
 * is always kept.
 * @param attempt how many tries have failed so far, 1 or more
 * @param random a number in [0, 1)
 * @returns milliseconds to wait
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  // 2^40 ms is 35 years; a larger exponent could only overflow to Infinity.
  const ceiling = Math.min(backoff.baseMs * 2 ** Math.min(Math.max(attempt, 1) - 1, 40), backoff.maxMs);
  return ceiling * (0.5 + random / 2);
}
