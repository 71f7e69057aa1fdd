/**
 * The wait before a failed key is tried again: an exponential back-off per key, and one token bucket for all keys.
 * Terms: A key is namespace/name of an object that needs work. A token bucket gains tokens at a fixed rate; each retry
 * takes one.
 * Owns: failures per key, and the bucket's tokens. The numbers are the same as in client-go's default limiter. Per key
 * the wait doubles from 5 ms to 1000 s. Over all keys there are 10 retries per second, with a burst of 100.
 */
import type { Clock } from '../../lib/clock.ts';
import { doubledMs } from '../../lib/retry.ts';

export type RateLimits = {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Retries per second over all keys, on average. */
  readonly perSecond: number;
  readonly burst: number;
};

export const defaultRateLimits: RateLimits = { baseMs: 5, maxMs: 1_000_000, perSecond: 10, burst: 100 };

export class RateLimiter {
  readonly #clock: Clock;
  readonly #limits: RateLimits;
  readonly #failures = new Map<string, number>();
  #tokens: number;
  #refilledAt: number;

  constructor(clock: Clock, limits: RateLimits = defaultRateLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#refilledAt = clock.monotonic();
  }

  /**
   * Counts a failure of the key and takes a token. Returns the wait in milliseconds: the key's wait or the bucket's
   * wait, whichever is longer.
   */
  next(key: string): number {
    const { baseMs, maxMs, perSecond, burst } = this.#limits;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const own = doubledMs({ baseMs, maxMs }, failures + 1);

    const now = this.#clock.monotonic();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#refilledAt) / 1000) * perSecond) - 1;
    this.#refilledAt = now;
    // The count of tokens may become negative; the key then waits until its token is added. Example: with -3 tokens at
    // 10 per second the wait is 300 ms.
    const shared = this.#tokens >= 0 ? 0 : (-this.#tokens / perSecond) * 1000;
    return Math.max(own, shared);
  }

  /** Call this method when the key succeeded, so that its next failure starts again from the shortest wait. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures of the key since the last `forget`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }
}
