/**
 * How long to wait before the next try, and the loop that waits.
 * Owns: the back-off formulas and `retry`. The caller decides which failures are tried again, and how often. Randomness
 * is passed in as `random`.
 */
import type { Clock } from './clock.ts';

export type Backoff = {
  /** The first wait, in milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every wait, jitter included. */
  readonly maxMs: number;
};

/**
 * Exponential back-off without jitter: the base, doubled with each failure.
 * @param attempt how many tries have failed so far, 1 or more
 * @returns milliseconds to wait
 */
export function doubledMs({ baseMs, maxMs }: Backoff, attempt: number): number {
  // The exponent is limited, so that the product cannot overflow to Infinity. 2^40 ms is already 35 years.
  return Math.min(baseMs * 2 ** Math.min(Math.max(attempt, 1) - 1, 40), maxMs);
}

/**
 * Exponential back-off, multiplied by a random factor in [0.5, 1). The factor (jitter) spreads clients that failed at
 * the same time.
 * @param attempt how many tries have failed so far, 1 or more
 * @param random a number in [0, 1)
 * @returns milliseconds to wait
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  return doubledMs(backoff, attempt) * (0.5 + random / 2);
}

export type RetryDeps<T> = {
  readonly clock: Clock;
  /** An abort ends the wait, and the work is not tried again. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the next try; undefined ends the tries. `attempt` counts from 1. */
  readonly pauseAfter: (outcome: T, attempt: number) => number | undefined;
};

/** Does the work again until `pauseAfter` ends the tries or the signal is aborted. @returns the last outcome */
export async function retry<T>(
  work: (attempt: number) => Promise<T>,
  { clock, signal, pauseAfter }: RetryDeps<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await work(attempt);
    const pauseMs = signal?.aborted === true ? undefined : pauseAfter(outcome, attempt);
    if (pauseMs === undefined) return outcome;
    if (pauseMs > 0) await clock.sleep(pauseMs, signal);
    if (signal?.aborted === true) return outcome;
  }
}

/** The same as `retry`, for work that throws when it fails. @throws the last error */
export async function retryErrors<T>(
  work: (attempt: number) => Promise<T>,
  { pauseAfter, ...rest }: RetryDeps<unknown>,
): Promise<T> {
  type Outcome = { readonly value: T } | { readonly error: unknown };
  const outcome = await retry<Outcome>(
    (attempt) =>
      work(attempt).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
    {
      ...rest,
      pauseAfter: (result, attempt) => ('error' in result ? pauseAfter(result.error, attempt) : undefined),
    },
  );
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}
